"""What our events say: which events of the audit log leave, in the words of CAEP 1.0 and RISC 1.0. Pure.

What leaves is about people and their sessions, and nothing that a person wrote: reasons, names and values stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from audit.actions import Action

_BASE: Final = "https://schemas.openid.net/secevent"
SESSION_REVOKED: Final = f"{_BASE}/caep/event-type/session-revoked"
CREDENTIAL_CHANGE: Final = f"{_BASE}/caep/event-type/credential-change"
RISK_LEVEL_CHANGE: Final = f"{_BASE}/caep/event-type/risk-level-change"
ACCOUNT_DISABLED: Final = f"{_BASE}/risc/event-type/account-disabled"
ACCOUNT_ENABLED: Final = f"{_BASE}/risc/event-type/account-enabled"
ACCOUNT_PURGED: Final = f"{_BASE}/risc/event-type/account-purged"
SUPPORTED: Final = (
    SESSION_REVOKED,
    CREDENTIAL_CHANGE,
    RISK_LEVEL_CHANGE,
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
)
"""The types of events that have a source here, beside those about a stream itself."""
_RISK: Final = (
    *(Action.RISK_SIGNALLED, Action.RISK_CONFIRMED_COMPROMISED, Action.RISK_CONFIRMED_SAFE),
    Action.RISK_DISMISSED,
)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """What is read of an event of the audit log."""

    action: str
    at: datetime
    actor: str
    about: Sequence[str]
    detail: Mapping[str, Any]

    def named(self, kind: str) -> str:
        """Return the first thing of a kind that it is about; empty without one."""
        return next((link.partition(":")[2] for link in self.about if link.startswith(f"{kind}:")), "")


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """One event as it is told: its type, the login and the session that it is about, and what it says."""

    type: str
    login: str
    session: str
    payload: Mapping[str, Any]


def outgoing(event: LoggedEvent) -> OutgoingEvent | None:
    """Return the security event that an event of the audit log becomes; None for one that is not sent."""
    rule = _RULES.get(event.action)
    return rule(event) if rule is not None else None


def subject(login: str, session: str, issuer: str, email: str = "") -> dict[str, Any]:
    """Return a `sub_id` (RFC 9493): a person by mail address where one is given, else by our issuer and the login.

    A session is named beside its person, as a complex subject (SSF 1.0 section 3.2).
    """
    person = {"format": "email", "email": email} if email else {"format": "iss_sub", "iss": issuer, "sub": login}
    if not session:
        return person
    parts: dict[str, Any] = {"session": {"format": "opaque", "id": session}}
    return {"format": "complex", **parts, **({"user": person} if login else {})}


def of_stream(stream: str) -> dict[str, Any]:
    """Return the `sub_id` of an event about a stream itself (SSF 1.0 section 8.1.4.1)."""
    return {"format": "opaque", "id": stream}


def delivered(requested: Sequence[str]) -> list[str]:
    """Return the events that a stream carries: the requested ones that have a source here."""
    return [kind for kind in SUPPORTED if kind in requested]


def _session_ended(event: LoggedEvent) -> OutgoingEvent | None:
    session, login = event.named("session"), event.named("person")
    return _caep(event, SESSION_REVOKED, login, session, "The session was ended.") if session else None


def _password(event: LoggedEvent) -> OutgoingEvent | None:
    payload = {"credential_type": "password", "change_type": "update"}
    return _caep(event, CREDENTIAL_CHANGE, event.named("person"), "", "A password was set.", payload)


def _risk(event: LoggedEvent) -> OutgoingEvent | None:
    """Tell of a level that changed: of a person or a session. What is said of agents means nothing elsewhere."""
    session, login, detail = event.named("session"), event.named("person"), event.detail
    before, now = detail.get("previous_level"), detail.get("subject_level") or detail.get("level")
    if not before or before == now or not (session or (login and not event.named("agent"))):
        return None
    payload = {
        "principal": "SESSION" if session else "USER",
        "current_level": str(now).upper(),
        "previous_level": str(before).upper(),
    }
    return _caep(event, RISK_LEVEL_CHANGE, login, session, "The risk level changed.", payload)


def _account(kind: str) -> Callable[[LoggedEvent], OutgoingEvent | None]:
    def rule(event: LoggedEvent) -> OutgoingEvent | None:
        login = event.named("person")
        return OutgoingEvent(kind, login, "", {}) if login else None

    return rule


def _caep(
    event: LoggedEvent, kind: str, login: str, session: str, why: str, payload: Mapping[str, Any] | None = None
) -> OutgoingEvent:
    """Add what every event of CAEP may say: when, who began it, and why (never empty, as the profile asks)."""
    said = {
        "event_timestamp": int(event.at.timestamp()),
        "initiating_entity": _began(event.actor, login),
        "reason_admin": {"en": why},
    }
    return OutgoingEvent(kind, login, session, {**(payload or {}), **said})


def _began(actor: str, login: str) -> str:
    kind, _colon, name = actor.partition(":")
    if kind == "person":
        return "user" if name == login else "admin"
    return "system"


_RULES: Final[Mapping[str, Callable[[LoggedEvent], OutgoingEvent | None]]] = MappingProxyType(
    {
        Action.SESSION_ENDED: _session_ended,
        Action.PERSON_PASSWORD_SET: _password,
        Action.PERSON_DISABLED: _account(ACCOUNT_DISABLED),
        Action.PERSON_ENABLED: _account(ACCOUNT_ENABLED),
        Action.SUBJECT_ERASED: _account(ACCOUNT_PURGED),
        **dict.fromkeys(_RISK, _risk),
    }
)
READ: Final = tuple(_RULES)
"""The events of the audit log that are looked at."""
