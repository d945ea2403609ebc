"""What people do with a grant beside what is declared with its rows: declared once, for every door."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action
from entitlements.grants.actions import GRANT
from governance.grants import narrow

NARROW = Action(
    "grant-narrow", GRANT, narrow.narrow, input=None, done=_("Narrowed. It holds from now on, and is not undone.")
)
