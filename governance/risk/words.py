"""Signals and their answers in words."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy

from entitlements.risk.models import RiskSignal
from entitlements.risk.rules import Kind, Mode, Response

KINDS: Final[dict[str, Any]] = {
    Kind.SESSION_REVOKED: gettext_lazy("Session revoked elsewhere"),
    Kind.CREDENTIAL_CHANGE: gettext_lazy("Credential changed"),
    Kind.ASSURANCE_LEVEL_CHANGE: gettext_lazy("Assurance level changed"),
    Kind.DEVICE_COMPLIANCE_CHANGE: gettext_lazy("Device compliance changed"),
    Kind.TOKEN_CLAIMS_CHANGE: gettext_lazy("Claims of a token changed"),
    Kind.RISK_LEVEL_CHANGE: gettext_lazy("Risk level reported"),
    Kind.ACCOUNT_DISABLED: gettext_lazy("Account disabled"),
    Kind.ACCOUNT_PURGED: gettext_lazy("Account deleted"),
    Kind.CREDENTIAL_COMPROMISED: gettext_lazy("Credential compromised"),
    Kind.DENIED_CALL_BURST: gettext_lazy("Many denied calls"),
    Kind.IRREVERSIBLE_USE: gettext_lazy("First use of an irreversible tool"),
    Kind.DEFINITION_DRIFT: gettext_lazy("Definition of a tool changed"),
    Kind.REFRESH_REUSE: gettext_lazy("Refresh token used again"),
    Kind.NETWORK_DRIFT: gettext_lazy("Drift: network of a session"),
    Kind.CLIENT_DRIFT: gettext_lazy("Drift: key or redirect of a client"),
    Kind.VERSION_DRIFT: gettext_lazy("Drift: attested version of an agent"),
    Kind.PERSON_DRIFT: gettext_lazy("Drift: a person moved"),
    Kind.TOOL_CLASS_DRIFT: gettext_lazy("Drift: first use of a tool class"),
    Kind.HOUR_DRIFT: gettext_lazy("Drift: unusual hour"),
    Kind.VOLUME_DRIFT: gettext_lazy("Drift: unusual volume"),
    Kind.DECOY_TOUCHED: gettext_lazy("Decoy touched"),
    Kind.CONFIRMED_COMPROMISE: gettext_lazy("Compromise confirmed"),
}
RESPONSES: Final[dict[str, Any]] = {
    Response.NOTE: gettext_lazy("Note it"),
    Response.REVIEW: gettext_lazy("Open an event-triggered review"),
    Response.STEP_UP: gettext_lazy("Step-up authentication"),
    Response.HOLD: gettext_lazy("Hold calls for a person"),
    Response.SUSPEND: gettext_lazy("Suspend"),
    Response.REVOKE: gettext_lazy("Revoke sessions and tokens"),
}
MODES: Final[dict[str, Any]] = {
    Mode.OBSERVE: gettext_lazy("Observe"),
    Mode.ENFORCE: gettext_lazy("Enforce"),
}
STATES: Final[dict[str, Any]] = {
    "open": gettext_lazy("Open"),
    "compromised": gettext_lazy("Confirmed compromised"),
    "safe": gettext_lazy("Confirmed safe"),
    "dismissed": gettext_lazy("Dismissed"),
}
OUTCOMES: Final[dict[str, Any]] = {
    RiskSignal.Outcome.NOTED: gettext_lazy("Noted"),
    RiskSignal.Outcome.OBSERVED: gettext_lazy("Observed: nothing was done"),
    RiskSignal.Outcome.DONE: gettext_lazy("Done"),
    RiskSignal.Outcome.NOTHING: gettext_lazy("There was nothing to do"),
}
FORMULAS: Final[dict[Kind, Any]] = {
    Kind.NETWORK_DRIFT: gettext_lazy(
        "A session comes from another network (/24 of IPv4, /48 of IPv6) or class of addresses than the one in which "
        "it began."
    ),
    Kind.CLIENT_DRIFT: gettext_lazy(
        "A person or a client's document gives it another key, secret or redirect. What a client rotates by itself, "
        "and other updates, are none."
    ),
    Kind.VERSION_DRIFT: gettext_lazy(
        "A build attests another model or prompt than the one attested before. A reported version counts as not seen."
    ),
    Kind.PERSON_DRIFT: gettext_lazy(
        "The department, manager or type of contract changes of a person for whom an agent acts."
    ),
    Kind.TOOL_CLASS_DRIFT: gettext_lazy(
        "An agent uses a class of tools (action and data class) for the first time in 90 days. It was used on 10 of "
        "them, 100 times."
    ),
    Kind.HOUR_DRIFT: gettext_lazy(
        "An agent calls at an hour at which, and next to which, it made no call on such days (weekdays or weekends) of "
        "the 28 before. It was used on 10 of them, 100 times."
    ),
    Kind.VOLUME_DRIFT: gettext_lazy(
        "An agent makes at least 50 calls within one hour, and more than three times those of its busiest hour in the "
        "28 days before. It was used on 10 of them, 100 times."
    ),
}
"""What each detector of drift looks for."""
