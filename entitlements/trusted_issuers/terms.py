"""What two people agree on about an issuer: which terms can be agreed on, and how two differ. Pure.

Terms are a mapping with the names of `TrustedIssuer.TERMS`; so they are stored with a proposal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.keys import jws

from . import rules, signals

IDENTITY: Final = "identity"
SIGNALS: Final = "signals"
MOST: Final = 200
"""Entries of a map or list."""
LONGEST: Final = 255
"""Characters of an entry."""
LONGEST_TENANT: Final = 64
USUAL: Final[Mapping[str, Any]] = {
    "issues_id_jags": False,
    "jwks_uri": "",
    "jwks": None,
    "algorithms": [],
    "strict_single_use": True,
    "clients": {},
    "other_audiences": [],
    "subject_claim": rules.SUBJECT,
    "tenant_claim": "",
    "tenants": [],
    "contexts": {},
    "sends_signals": False,
    "signal_audience": "",
    "signal_events": [],
}
"""The terms that go without saying."""
_CLAIM: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,63}")


class IssuerTermsRefused(DomainError):
    """These terms cannot be agreed on."""

    code, status = "issuer_terms_refused", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Difference:
    """One term that a proposal changes."""

    name: str
    before: object
    after: object


def check(terms: Mapping[str, Any]) -> None:
    """Check the terms against each other. Raises IssuerTermsRefused with a sentence, and the `field` it is about."""
    for name in ("clients", "contexts"):
        _check_texts(name, [*terms[name], *terms[name].values()], 2 * MOST)
    for name in ("other_audiences", "tenants", "algorithms", "signal_events"):
        _check_texts(name, terms[name], MOST)
    if unknown := set(terms["algorithms"]) - jws.ALGORITHMS:
        raise IssuerTermsRefused(f"{', '.join(sorted(unknown))} is not accepted here.", field="algorithms")
    if both := sorted(set(terms["other_audiences"]) & terms["clients"].keys()):
        message = f"{', '.join(both)} is a client, so it cannot be a further audience."
        raise IssuerTermsRefused(message, field="other_audiences")
    if terms["issues_id_jags"] and terms["purpose"] != IDENTITY:
        message = "Only an issuer of people's ID tokens issues ID-JAGs as well. Choose the purpose ID-JAGs instead."
        raise IssuerTermsRefused(message, field="issues_id_jags")
    _check_signals(terms)
    _check_subject(terms)


def _check_signals(terms: Mapping[str, Any]) -> None:
    if unknown := sorted(set(terms["signal_events"]) - signals.NAMES):
        message = f"{unknown[0]} is no event that is understood here. Take some of {', '.join(sorted(signals.NAMES))}."
        raise IssuerTermsRefused(message, field="signal_events")
    if terms["purpose"] == SIGNALS and not terms["sends_signals"]:
        raise IssuerTermsRefused("An issuer of security events sends them.", field="sends_signals")
    if not terms["sends_signals"] and (terms["signal_events"] or terms["signal_audience"]):
        message = "Events and an audience are for an issuer that sends security events."
        raise IssuerTermsRefused(message, field="sends_signals")


def _check_subject(terms: Mapping[str, Any]) -> None:
    claim, tenant_claim, tenants = terms["subject_claim"], terms["tenant_claim"], terms["tenants"]
    if claim in rules.REASSIGNED:
        message = f"{claim} may pass to another person. Take a claim that stays, such as sub or oid."
        raise IssuerTermsRefused(message, field="subject_claim")
    for name in filter(None, (claim, tenant_claim)):
        if not _CLAIM.fullmatch(name):
            raise IssuerTermsRefused(f"{name} is not the name of a claim.", field="subject_claim")
    if not claim or bool(tenant_claim) != bool(tenants) or tenant_claim == claim:
        message = "Name the claim of the subject; for a multi-tenant issuer also the tenant's claim and each tenant."
        raise IssuerTermsRefused(message, field="tenants")
    if any(" " in tenant or len(tenant) > LONGEST_TENANT for tenant in tenants):
        message = f"A tenant has at most {LONGEST_TENANT} characters, and no space."
        raise IssuerTermsRefused(message, field="tenants")


def _check_texts(name: str, entries: list[Any], most: int) -> None:
    if len(entries) > most or not all(
        isinstance(each, str) and 0 < len(each) <= LONGEST and each.isprintable() for each in entries
    ):
        message = f"{name} holds at most {MOST} texts of at most {LONGEST} characters."
        raise IssuerTermsRefused(message, field=name)


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Difference]:
    """Return what a proposal changes; all that it says where nothing is in force."""
    known = before or {}
    named = {"purpose": "", **USUAL, **after}
    return [
        Difference(name, known.get(name, USUAL.get(name)), named[name])
        for name in named
        if named[name] != known.get(name, USUAL.get(name))
    ]
