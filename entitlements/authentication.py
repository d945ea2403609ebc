"""How a person signed in: authentication context (`acr`) and methods (`amr`) of OpenID Connect Core 2. Pure.

Ours are three contexts, each of which meets those after it. A sign-in at the company is of the context that the company
names, and of one of ours where its methods say so or the person used a second factor here as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

COMPANY: Final = "socialaccount"
"""What allauth calls a sign-in at the company."""
COMPANY_CLAIMS: Final = "claims"
"""Where a record of a sign-in at the company keeps what the company states of it: its `acr` and `amr`."""
PHISHING_RESISTANT: Final = "phr"
"""A passkey (OpenID Connect Extended Authentication Profile ACR Values 1.0)."""
MULTI_FACTOR: Final = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
"""A second factor besides the first (PAPE 1.0)."""
PASSWORD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105 - a name
"""A password over TLS (SAML 2.0 authentication context)."""
OWN: Final = (PHISHING_RESISTANT, MULTI_FACTOR, PASSWORD)
"""Ours, the strongest first."""
_SECOND: Final = "mfa"
"""What allauth calls a second factor, and RFC 8176 the use of several."""
_PASSKEY: Final = "webauthn"
_METHODS: Final = {"totp": "otp", _PASSKEY: "pop"}
_LONGEST: Final = 255
_MOST_METHODS: Final = 16


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a person signed in in one browser session: the strongest of our contexts, and what the company says."""

    own: str = ""
    company: str = ""
    methods: tuple[str, ...] = ()

    def covers(self, context: str) -> bool:
        """Whether the sign-in is of a context, or of a stronger one."""
        if context in OWN and self.own:
            return OWN.index(self.own) <= OWN.index(context)
        return bool(context) and context == self.company

    def answer(self, requested: Sequence[str]) -> str:
        """Return the `acr` for a request: the first context that it names and is met, else what is known.

        Empty where nothing is known.
        """
        met = next((context for context in requested if self.covers(context)), "")
        usual = self.own if self.own in (PHISHING_RESISTANT, MULTI_FACTOR) else self.company or self.own
        return met or usual


def from_records(records: Iterable[Mapping[str, Any]]) -> Authentication:
    """Say how a person signed in, by allauth's records of a browser session, the latest last."""
    own, company, methods = set(), "", dict[str, None]()
    for record in records:
        kind = record.get("type")
        match record.get("method"):
            case "password":
                own.add(PASSWORD)
                methods["pwd"] = None
            case "mfa":
                own.add(PHISHING_RESISTANT if kind == _PASSKEY else MULTI_FACTOR)
                methods |= dict.fromkeys([*([_METHODS[kind]] if kind in _METHODS else []), _SECOND])
            case "socialaccount":
                known = company_claims(record.get(COMPANY_CLAIMS) or {})
                company = known.get("acr", "")
                methods |= dict.fromkeys(known.get("amr", []))
                if _SECOND in known.get("amr", []):
                    own.add(MULTI_FACTOR)
    return Authentication(next((context for context in OWN if context in own), ""), company, tuple(methods))


def company_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `acr` and `amr` of an ID token, each only in its proper form and size."""
    known: dict[str, Any] = {}
    if isinstance(acr := claims.get("acr"), str) and acr.isprintable():
        known["acr"] = acr[:_LONGEST]
    amr = claims.get("amr")
    if isinstance(amr, list) and all(isinstance(method, str) and method.isprintable() for method in amr):
        known["amr"] = [method[:64] for method in amr[:_MOST_METHODS]]
    return known


def claims(auth_time: datetime, acr: str, amr: str) -> dict[str, Any]:
    """Return what a token says of a sign-in; `amr` holds the methods between spaces."""
    known = {"acr": acr, "amr": amr.split()}
    return {"auth_time": int(auth_time.timestamp()), **{name: value for name, value in known.items() if value}}


def of_claims(acr: str, amr: Collection[str]) -> Authentication:
    """Return how a person signed in by what a session or a token says of it."""
    own = [context for context in OWN if context == acr or (context == MULTI_FACTOR and _SECOND in amr)]
    return Authentication(own[0] if own else "", acr, tuple(amr))
