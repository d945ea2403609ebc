"""What people do with spot checks: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Performed, Sentence, Subject
from governance.reviews.campaigns.actions import CAMPAIGN, reviewer
from governance.reviews.event_triggered import follow_up
from governance.reviews.spot_checks import plan, spot_checks
from governance.reviews.spot_checks.models import SpotCheck


def _own(caller: Caller) -> QuerySet[SpotCheck]:
    return spot_checks.visible_to(caller.human if caller.agent is None else None)


def _of_campaigns(caller: Caller) -> QuerySet[SpotCheck]:
    rows = SpotCheck.objects.select_related("item__current_decision", "item__campaign", "checker")
    return rows.filter(item__campaign__in=CAMPAIGN.rows(caller))


def _followed(performed: Performed) -> Sentence:
    again = performed.values["how"] == SpotCheck.Followed.ASKED_AGAIN
    return _("An event-triggered review starts within minutes.") if again else _("The decision stays.")


CHECK = Subject(_own, lambda check: [f"spot_check:{check.pk}"], by=reviewer, by_key=True)
FINISHED = Subject(
    _of_campaigns,
    lambda check: [f"campaign:{check.item.campaign.slug}", f"spot_check:{check.pk}"],
    by=reviewer,
    by_key=True,
)

SWITCH_ON = Action(
    "campaign-spot-checks",
    CAMPAIGN,
    plan.switch_on,
    input=None,
    done=_("A second reviewer spot-checks some decisions once the review ends."),
)
ANSWER = Action(
    "spot-check-answer",
    CHECK,
    spot_checks.answer,
    input=None,
    done=_("Your spot check is saved. It changes no access."),
)
FOLLOW_UP = Action("spot-check-follow-up", FINISHED, follow_up.follow_up, input=None, done=_followed)
