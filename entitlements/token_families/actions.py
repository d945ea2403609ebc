"""What people and programs do with token families: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import StopInputSerializer
from entitlements.token_families import families

TOKEN_FAMILY = Subject(
    visibility.token_families,
    lambda family: [f"token_family:{family.pk}", *([f"agent:{family.agent.slug}"] if family.agent else [])],
    by_key=True,
)

REVOKE = Action(
    "token-family-revoke",
    TOKEN_FAMILY,
    families.revoke,
    input=StopInputSerializer,
    stops="token_family",
    done=_("The sign-in and its tokens have ended."),
)
