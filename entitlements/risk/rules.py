"""What a risk signal says about a risk level, and what answers it while nothing else is agreed on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from entitlements.words import Risk


class Kind(StrEnum):
    """What a signal tells of: events of CAEP 1.0 and RISC 1.0, our own detectors, and a person's word."""

    SESSION_REVOKED = "session_revoked"
    CREDENTIAL_CHANGE = "credential_change"
    ASSURANCE_LEVEL_CHANGE = "assurance_level_change"
    DEVICE_COMPLIANCE_CHANGE = "device_compliance_change"
    TOKEN_CLAIMS_CHANGE = "token_claims_change"  # noqa: S105 - the name of an event
    RISK_LEVEL_CHANGE = "risk_level_change"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_PURGED = "account_purged"
    CREDENTIAL_COMPROMISED = "credential_compromised"
    DENIED_CALL_BURST = "denied_call_burst"
    IRREVERSIBLE_USE = "irreversible_use"
    DEFINITION_DRIFT = "definition_drift"
    REFRESH_REUSE = "refresh_reuse"
    NETWORK_DRIFT = "network_drift"
    CLIENT_DRIFT = "client_drift"
    VERSION_DRIFT = "version_drift"
    PERSON_DRIFT = "person_drift"
    TOOL_CLASS_DRIFT = "tool_class_drift"
    HOUR_DRIFT = "hour_drift"
    VOLUME_DRIFT = "volume_drift"
    DECOY_TOUCHED = "decoy_touched"
    CONFIRMED_COMPROMISE = "confirmed_compromise"


class Response(StrEnum):
    """What follows a signal, the mildest first."""

    NOTE = "note"
    REVIEW = "review"
    STEP_UP = "step_up"
    HOLD = "hold"
    SUSPEND = "suspend"
    REVOKE = "revoke"


class Mode(StrEnum):
    """Whether a response is carried out, or only shown."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class Verdict(StrEnum):
    """What a person decides about a signal."""

    COMPROMISED = "compromised"
    SAFE = "safe"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Policy:
    """How one kind of signal is answered."""

    response: Response
    mode: Mode


_OBSERVED: Final[Mapping[Kind, Response]] = MappingProxyType(
    {
        Kind.SESSION_REVOKED: Response.STEP_UP,
        Kind.CREDENTIAL_CHANGE: Response.STEP_UP,
        Kind.ASSURANCE_LEVEL_CHANGE: Response.STEP_UP,
        Kind.DEVICE_COMPLIANCE_CHANGE: Response.STEP_UP,
        Kind.TOKEN_CLAIMS_CHANGE: Response.NOTE,
        Kind.RISK_LEVEL_CHANGE: Response.STEP_UP,
        Kind.ACCOUNT_PURGED: Response.SUSPEND,
        Kind.CREDENTIAL_COMPROMISED: Response.STEP_UP,
        Kind.DENIED_CALL_BURST: Response.REVIEW,
        Kind.IRREVERSIBLE_USE: Response.REVIEW,
        Kind.DEFINITION_DRIFT: Response.REVIEW,
        Kind.REFRESH_REUSE: Response.STEP_UP,
        **dict.fromkeys((Kind.NETWORK_DRIFT, Kind.CLIENT_DRIFT, Kind.PERSON_DRIFT), Response.STEP_UP),
        **dict.fromkeys((Kind.VERSION_DRIFT, Kind.TOOL_CLASS_DRIFT), Response.REVIEW),
        **dict.fromkeys((Kind.HOUR_DRIFT, Kind.VOLUME_DRIFT), Response.REVIEW),
        Kind.DECOY_TOUCHED: Response.SUSPEND,
    }
)
DEFAULTS: Final[Mapping[Kind, Policy]] = MappingProxyType(
    {
        **{kind: Policy(response, Mode.OBSERVE) for kind, response in _OBSERVED.items()},
        Kind.ACCOUNT_DISABLED: Policy(Response.SUSPEND, Mode.ENFORCE),
        Kind.CONFIRMED_COMPROMISE: Policy(Response.SUSPEND, Mode.ENFORCE),
    }
)
"""How each kind is answered until two people agree on something else: only two of them do anything by themselves."""


@dataclass(frozen=True, slots=True)
class CountedSignal:
    """One signal as the level is worked out from it, with what a person decided about it.

    `holds` says that the response to it holds the calls of its subject.
    """

    kind: str
    source: str
    level: Risk
    noted: datetime
    verdict: Verdict | None = None
    decided: datetime | None = None
    holds: bool = False


def level_of(signals: Iterable[CountedSignal]) -> Risk:
    """Return the level that signals about one subject give: the highest of those that count (`in_effect`)."""
    return max((_level(each) for each in in_effect(signals)), key=lambda level: level.rank, default=Risk.LOW)


def is_held(signals: Iterable[CountedSignal]) -> bool:
    """Say whether signals about one subject hold its calls: until each that does counts no more."""
    return any(each.holds for each in in_effect(signals))


def in_effect(signals: Iterable[CountedSignal]) -> list[CountedSignal]:
    """Return the signals about one subject that count, the oldest first.

    A signal counts until it is dismissed, and until any signal of the subject is confirmed safe after it was noted. One
    that is confirmed compromised stands for the highest level. Of risk levels that one source reports, only its last
    counts.
    """
    known = sorted(signals, key=lambda each: each.noted)
    safe = max((each.decided for each in known if each.verdict is Verdict.SAFE and each.decided), default=None)
    last = {each.source: each for each in known if each.kind == Kind.RISK_LEVEL_CHANGE and _counts(each, None)}
    return [
        each
        for each in known
        if _counts(each, safe) and (each.kind != Kind.RISK_LEVEL_CHANGE or last.get(each.source) is each)
    ]


def _counts(each: CountedSignal, safe: datetime | None) -> bool:
    """Whether a signal counts still. What was confirmed compromised later than anything was confirmed safe does."""
    moment = each.decided if each.verdict is Verdict.COMPROMISED and each.decided else each.noted
    return each.verdict not in (Verdict.SAFE, Verdict.DISMISSED) and (safe is None or moment > safe)


def _level(each: CountedSignal) -> Risk:
    return Risk.HIGH if each.verdict is Verdict.COMPROMISED else each.level
