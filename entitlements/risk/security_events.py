"""How a security event token is read (RFC 8417, profiled by the Shared Signals Framework 1.0 section 4). Pure.

Signature, issuer and whether it came before are the receiver's to check. What is refused is named by the words of
RFC 8935 section 2.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.keys import jws
from entitlements.trusted_issuers import signals
from entitlements.words import Risk

from .rules import Kind

TYP: Final = "secevent+jwt"
LEEWAY: Final = 30.0
"""Seconds by which a transmitter's clock may be ahead of ours."""
OLDEST: Final = 30 * 24 * 3600.0
"""Seconds since the token was issued, after which it is refused: for so long each `jti` is remembered."""
LONGEST: Final = 500
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PARTS: Final = frozenset({"user", "session", "device", "tenant", "application", "group", "org_unit"})
"""The members of a complex subject (SSF 1.0 section 3.2)."""


class EventRefused(DomainError):
    """The security event token is refused."""

    code, status = "security_event_refused", HTTPStatus.BAD_REQUEST

    def __init__(self, err: str, message: str) -> None:
        super().__init__(message, err=err)
        self.err = err


@dataclass(frozen=True, slots=True)
class SubjectName:
    """A simple subject (RFC 9493): the format, and what it names; of `iss_sub` two texts, else one."""

    format: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its short name, empty for one about the stream; whom it is about, and what it says."""

    type: str
    name: str
    jti: str
    issued: float
    subject: SubjectName | None
    session: SubjectName | None
    payload: Mapping[str, Any]

    @property
    def at(self) -> datetime:
        """When what it tells of happened: as it says, but not later than it was issued."""
        moment = jws.moment(self.payload, "event_timestamp") if "event_timestamp" in self.payload else None
        return datetime.fromtimestamp(min(moment or self.issued, self.issued), UTC)


@dataclass(frozen=True, slots=True)
class Signal:
    """What an event means: its kind, the level it stands for, and whether it tells of something that got better."""

    kind: Kind
    level: Risk
    says: str
    improves: bool = False


def invalid(message: str) -> EventRefused:
    """Return the refusal of what is no event token of this profile."""
    return EventRefused("invalid_request", message)


def read(typ: str | None, claims: Mapping[str, Any], audience: str, allowed: Sequence[str], now: float) -> Event:
    """Read the claims of a token. `allowed` are the names of the events that are taken; without any, all.

    Raises EventRefused.
    """
    if typ != TYP:
        raise invalid("The token's typ is not secevent+jwt.")
    try:
        return _read(claims, audience, allowed, now)
    except jws.BadToken as error:
        raise invalid(error.message) from error


def _read(claims: Mapping[str, Any], audience: str, allowed: Sequence[str], now: float) -> Event:
    for name in ("exp", "sub"):
        if name in claims:
            raise invalid(f"The claim {name} does not belong into a security event token.")
    jti, issued = jws.text(claims, "jti"), jws.moment(claims, "iat")
    if issued is None or not now - OLDEST <= issued <= now + LEEWAY:
        raise invalid("The token's iat is missing, in the future, or more than 30 days ago.")
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise EventRefused("invalid_audience", "The token is for another audience.")
    events = claims.get("events")
    if not isinstance(events, dict) or len(events) != 1:
        raise invalid("The claim events holds exactly one event.")
    (kind, payload), *_ = events.items()
    if not isinstance(payload, dict):
        raise invalid("The event is no object.")
    if "subject" in payload:
        raise invalid("The event names its subject in the old form. Name it in sub_id.")
    subject, session = _subject(claims.get("sub_id"))
    if kind in signals.OF_THE_STREAM:
        return Event(kind, "", jti, issued, subject, session, payload)
    name = signals.TYPES.get(kind, "")
    if not name or (allowed and name not in allowed):
        raise EventRefused("access_denied", "Events of this type are not taken from this issuer.")
    event = Event(kind, name, jti, issued, subject, session, payload)
    meaning(event)  # what it says is checked before it is taken
    _ = event.at
    return event


def taken(claims: Mapping[str, Any]) -> Event:
    """Read an event that was checked when it was taken. Raises EventRefused, BadToken."""
    (kind, payload), *_ = claims["events"].items()
    subject, session = _subject(claims["sub_id"])
    issued = jws.moment(claims, "iat") or 0.0
    return Event(kind, signals.TYPES.get(kind, ""), claims["jti"], issued, subject, session, payload)


def _subject(value: object) -> tuple[SubjectName | None, SubjectName | None]:
    """Return the person and the session that a `sub_id` names. Raises EventRefused."""
    if not isinstance(value, dict):
        raise invalid("The claim sub_id is missing, or no object.")
    if value.get("format") != "complex":
        return _simple(value), None
    if not value.keys() - {"format"} or value.keys() - {"format"} - _PARTS:
        raise invalid("The complex subject names none of its parts, or an unknown one.")
    found = {name: _simple(part) for name, part in value.items() if name != "format"}
    return found.get("user"), found.get("session")


def _simple(value: object) -> SubjectName:
    if not isinstance(value, dict):
        raise invalid("A part of the subject is no object.")
    names: tuple[str, ...]
    match value:
        case {"format": "iss_sub", "iss": str(issuer), "sub": str(subject), **more} if not more:
            names = (issuer, subject)
        case {"format": "email", "email": str(mail), **more} if not more and _MAIL.fullmatch(mail):
            names = (mail,)
        case {"format": "opaque", "id": str(opaque), **more} if not more:
            names = (opaque,)
        case {
            "format": "account"
            | "did"
            | "phone_number"
            | "aliases"
            | "uri"
            | "jwt_id"
            | "saml_assertion_id"
            | "ip-addresses"
        }:
            return SubjectName(str(value["format"]), ())
        case _:
            raise invalid("The subject's format is unknown, or its members do not fit it.")
    if not all(0 < len(name) <= LONGEST and name.isprintable() for name in names):
        raise invalid("The subject is named by a text that is empty, too long or not printable.")
    return SubjectName(str(value["format"]), names)


def meaning(event: Event) -> Signal:
    """Return what an event means. Raises EventRefused, BadToken where it lacks what its type must say."""
    return _MEANINGS[event.name](event.payload)


def _one_of(payload: Mapping[str, Any], name: str, *words: str) -> str:
    value = payload.get(name)
    if value not in words:
        raise invalid(f"The event's {name} is none of {', '.join(words)}.")
    return str(value)


def _credential(payload: Mapping[str, Any]) -> Signal:
    change = _one_of(payload, "change_type", "create", "revoke", "update", "delete")
    level = Risk.LOW if change in ("create", "update") else Risk.MEDIUM
    said = f"A credential was changed: {jws.text(payload, 'credential_type', longest=64)}, {change}."
    return Signal(Kind.CREDENTIAL_CHANGE, level, said)


def _assurance(payload: Mapping[str, Any]) -> Signal:
    jws.text(payload, "namespace")
    now = jws.text(payload, "current_level", longest=64)
    better = (
        "change_direction" in payload and _one_of(payload, "change_direction", "increase", "decrease") == "increase"
    )
    level = Risk.LOW if better else Risk.MEDIUM
    return Signal(Kind.ASSURANCE_LEVEL_CHANGE, level, f"The assurance level is {now} now.", better)


def _device(payload: Mapping[str, Any]) -> Signal:
    words = ("compliant", "not-compliant")
    before, now = _one_of(payload, "previous_status", *words), _one_of(payload, "current_status", *words)
    better = now == words[0]
    said = f"The device was {before}, and is {now} now."
    return Signal(Kind.DEVICE_COMPLIANCE_CHANGE, Risk.LOW if better else Risk.MEDIUM, said, better)


def _claims(payload: Mapping[str, Any]) -> Signal:
    changed = payload.get("claims")
    if not isinstance(changed, dict) or not changed:
        raise invalid("The event's claims is no object with at least one claim.")
    named = ", ".join(sorted(changed))[:200]
    return Signal(Kind.TOKEN_CLAIMS_CHANGE, Risk.LOW, f"Claims of a token changed: {named}.")


def _risk(payload: Mapping[str, Any]) -> Signal:
    jws.text(payload, "principal", longest=64)
    now = Risk(_one_of(payload, "current_level", "LOW", "MEDIUM", "HIGH").lower())
    return Signal(Kind.RISK_LEVEL_CHANGE, now, f"The risk level is {now} now.", now is Risk.LOW)


def _plain(kind: Kind, level: Risk, sentence: str) -> Callable[[Mapping[str, Any]], Signal]:
    return lambda _payload: Signal(kind, level, sentence)


_MEANINGS: Final[Mapping[str, Callable[[Mapping[str, Any]], Signal]]] = MappingProxyType(
    {
        "session-revoked": _plain(Kind.SESSION_REVOKED, Risk.MEDIUM, "The session was revoked."),
        "credential-change": _credential,
        "assurance-level-change": _assurance,
        "device-compliance-change": _device,
        "token-claims-change": _claims,
        "risk-level-change": _risk,
        "account-disabled": _plain(Kind.ACCOUNT_DISABLED, Risk.HIGH, "The account was disabled."),
        "account-purged": _plain(Kind.ACCOUNT_PURGED, Risk.HIGH, "The account was deleted for good."),
        "credential-compromise": _plain(Kind.CREDENTIAL_COMPROMISED, Risk.HIGH, "A credential was compromised."),
    }
)
