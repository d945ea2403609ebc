"""What people do about access that is larger than its use: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action, Performed
from entitlements.grants.actions import GRANT
from governance.reviews.campaigns.actions import reviewer
from governance.reviews.usage import right_sizing


def _right_sized(performed: Performed) -> str:
    if performed.values["drop"]:
        text = _("Removed from %(name)s. No call of the last 90 days needed it.")
    else:
        text = _("Lowered for %(name)s. No call of the last 90 days exceeded it.")
    return text % {"name": performed.row.agent.name}


RIGHT_SIZE = Action(
    "grant-right-size", GRANT, right_sizing.apply, input=None, by=reviewer, done=_right_sized, by_key=False
)
