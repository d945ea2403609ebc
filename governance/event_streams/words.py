"""Types of security events in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy

from entitlements.event_streams import profile
from entitlements.trusted_issuers import signals

TYPES: Final[dict[str, Any]] = {
    profile.SESSION_REVOKED: gettext_lazy("Session revoked"),
    profile.CREDENTIAL_CHANGE: gettext_lazy("Credential changed"),
    profile.RISK_LEVEL_CHANGE: gettext_lazy("Risk level changed"),
    profile.ACCOUNT_DISABLED: gettext_lazy("Account disabled"),
    profile.ACCOUNT_ENABLED: gettext_lazy("Account enabled"),
    profile.ACCOUNT_PURGED: gettext_lazy("Account deleted for good"),
    signals.VERIFICATION: gettext_lazy("Verification of the stream"),
    signals.UPDATED: gettext_lazy("Status of the stream changed"),
}


def named(types: Sequence[str]) -> list[Any]:
    """Return the types that a stream carries, in words."""
    return [TYPES[kind] for kind in profile.delivered(types)]
