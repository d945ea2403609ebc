"""What people and programs do with connected accounts: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import StopInputSerializer
from entitlements.connected_accounts import accounts

CONNECTED_ACCOUNT = Subject(visibility.connected_accounts, accounts.about, by_key=True)

END = Action(
    "connected-account-end",
    CONNECTED_ACCOUNT,
    accounts.end,
    input=StopInputSerializer,
    stops="connected_account",
    done=_("The account is disconnected. Its tokens are revoked at the system next."),
)
