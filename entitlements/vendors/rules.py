"""How a vendor joins, and what an ID-JAG says to it of the person and the agent. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

EMAIL: Final = "email"
AUD_SUB: Final = "aud_sub"
EXTRA_CLAIMS: Final = (EMAIL, AUD_SUB)
_OURS: Final = frozenset({"sid", "token_family"})
"""Names of our own rows: of use to our own servers alone, and the same at every vendor."""


class WayToJoin(StrEnum):
    """Whose assertions the vendor's server takes."""

    OUR_ISSUER = "our_issuer"
    COMPANY_PROVIDER = "company_provider"

    @property
    def label(self) -> str:
        """The choice in words."""
        return _WAYS[self]


class Subjects(StrEnum):
    """Which name of the person is the `sub` (EMA-I-9)."""

    PAIRWISE = "pairwise"
    LOGIN = "login"
    EMAIL = "email"
    STORED = "stored"

    @property
    def label(self) -> str:
        """The choice in words."""
        return _SUBJECTS[self]


class ScopeNames(StrEnum):
    """How the vendor calls the scopes of the system's entitlements."""

    WHOLE = "whole"
    BARE = "bare"

    @property
    def label(self) -> str:
        """The choice in words."""
        return _SCOPE_NAMES[self]


_WAYS: Final = {
    WayToJoin.OUR_ISSUER: "It trusts Mandate's issuer",
    WayToJoin.COMPANY_PROVIDER: "It trusts only the company's identity provider",
}
_SCOPE_NAMES: Final = {
    ScopeNames.WHOLE: "As here, with the system's name",
    ScopeNames.BARE: "Without the system's name",
}
_SUBJECTS: Final = {
    Subjects.PAIRWISE: "A pairwise identifier, made for this vendor alone",
    Subjects.LOGIN: "The login",
    Subjects.EMAIL: "The mail address",
    Subjects.STORED: "A stored name for each person",
}


class Refusal(StrEnum):
    """Why nothing is issued for a vendor."""

    PROVIDER = "provider"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed with a vendor."""

    issuer: str
    resources: tuple[str, ...]
    joins: str
    issues: bool
    subjects: str
    extra_claims: tuple[str, ...]
    salt: str = field(repr=False)
    scope_names: str = ScopeNames.WHOLE.value


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the person at the vendor; `stored` and `email` are empty where there is none."""

    pk: int
    login: str
    stored: str = ""
    email: str = ""


def refusal(terms: Terms) -> Refusal | None:
    """Say why nothing is issued for the vendor; None where ID-JAGs are issued. No way to join stands in for another."""
    if terms.joins != WayToJoin.OUR_ISSUER:
        return Refusal.PROVIDER
    return None if terms.issues else Refusal.OFF


def person_claims(terms: Terms, known: Known) -> dict[str, Any] | None:
    """Return the claims about the person: `sub`, and `email` or `aud_sub` where chosen; None where `sub` is not known.

    A claim that is not known is left out.
    """
    subject = {
        Subjects.PAIRWISE: pairwise(terms.salt, f"person:{known.pk}"),
        Subjects.LOGIN: known.login,
        Subjects.EMAIL: known.email,
        Subjects.STORED: known.stored,
    }[Subjects(terms.subjects)]
    if not subject:
        return None
    extra = {EMAIL: known.email, AUD_SUB: known.stored}
    return {"sub": subject, **{name: extra[name] for name in terms.extra_claims if extra[name]}}


def presented(terms: Terms, person: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of an ID-JAG as the vendor gets them.

    Where the person's name is for this vendor alone, the agents' are too: a personal agent is as good as its person.
    """
    kept = {name: value for name, value in claims.items() if name not in _OURS} | dict(person)
    if terms.subjects == Subjects.PAIRWISE and "act" in kept:
        kept["act"] = _actor(terms.salt, kept["act"])
    return kept


def own_scope(terms: Terms, slug: str, scope: str) -> str:
    """Return how a scope that a client asks for by the vendor's name is called at the system with this slug."""
    is_bare = terms.scope_names == ScopeNames.BARE and not scope.startswith(f"{slug}:")
    return f"{slug}:{scope}" if is_bare else scope


def vendor_scope(terms: Terms, slug: str, scope: str) -> str:
    """Return how the vendor calls a scope of the system with this slug."""
    return scope.removeprefix(f"{slug}:") if terms.scope_names == ScopeNames.BARE else scope


def pairwise(salt: str, name: str) -> str:
    """Return a name that says nothing to anybody without the salt (OpenID Connect Core section 8.1)."""
    digest = hmac.digest(bytes.fromhex(salt), name.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _actor(salt: str, act: Mapping[str, Any]) -> dict[str, Any]:
    """Rename each agent of a chain of `act` claims (RFC 8693 section 4.1), whose clients are ours to know."""
    kept = {name: value for name, value in act.items() if name != "client_id"}
    renamed = {**kept, "sub": pairwise(salt, f"agent:{act['sub']}")} if "sub" in act else kept
    return renamed | ({"act": _actor(salt, act["act"])} if isinstance(act.get("act"), Mapping) else {})
