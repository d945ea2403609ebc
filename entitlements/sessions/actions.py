"""What people and programs do with sessions and tokens: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import StopInputSerializer
from entitlements.sessions import sessions
from entitlements.tokens import tokens

SESSION = Subject(
    visibility.sessions, lambda session: [f"session:{session.pk}", f"agent:{session.agent.slug}"], by_key=True
)
TOKEN = Subject(
    visibility.tokens,
    lambda token: [f"token:{token.pk}", *([f"agent:{token.agent.slug}"] if token.agent else [])],
    by_key=True,
)

END = Action(
    "session-end",
    SESSION,
    sessions.end,
    input=StopInputSerializer,
    stops="session",
    done=_("The session and its tokens have ended."),
)
REVOKE_TOKEN = Action("token-revoke", TOKEN, tokens.revoke, input=StopInputSerializer, stops="token")
