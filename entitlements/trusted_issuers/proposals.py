"""Actions on proposals about issuers: one person proposes, another confirms; ending takes one, and acts at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from audit.actions import Action
from entitlements.clients.models import Client
from entitlements.errors import Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import public_keys
from entitlements.people.models import Person
from entitlements.proposals.in_force import PROPOSERS, LastingKind, State
from entitlements.trusted_issuers.models import IssuerProposal, TrustedIssuer

from . import discovery, terms, trust


class AdminRoleNeeded(Forbidden):
    """You cannot confirm this issuer: a platform admin or security approver confirms it."""

    code = "issuer_needs_admin_role"


def propose(issuer: str, *, by: Person, reason: str = "", **wanted: Any) -> IssuerProposal:  # noqa: ANN401 - terms
    """Propose to trust an issuer on the terms of `TrustedIssuer.TERMS`, or other terms for one that is trusted.

    Where neither keys nor their address are given, the address is found by discovery; that, and reading the keys,
    happens before the transaction. Raises IssuerTaken, and as `trust.check`, `discovery.find` and LastingKind.propose.
    """
    if not by.has_role(*PROPOSERS):
        raise Forbidden
    signals = {"sends_signals": True} if wanted.get("purpose") == terms.SIGNALS else {}
    agreed = _with_keys(issuer, {**terms.USUAL, **wanted, **signals})
    trust.check(issuer, agreed)
    _check_clients(agreed)
    return _write(issuer, agreed, by=by, reason=reason)


def _with_keys(issuer: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Fill in where the keys stand and what they sign with. Raises as `discovery.find` and `public_keys.read_set`."""
    if wanted["jwks"]:
        pinned = sorted({key.algorithm for key in public_keys.read_set(wanted["jwks"])})
        return {**wanted, "algorithms": wanted["algorithms"] or pinned}
    trust.check(issuer, {**wanted, "jwks_uri": wanted["jwks_uri"] or issuer})  # nothing is fetched for what is refused
    if not wanted["jwks_uri"]:
        found = discovery.find(issuer)
        return {**wanted, "jwks_uri": found.jwks_uri, "algorithms": wanted["algorithms"] or list(found.algorithms)}
    signs = discovery.algorithms_at(wanted["jwks_uri"], issuer)
    return {**wanted, "algorithms": wanted["algorithms"] or list(signs)}


def _check_clients(agreed: Mapping[str, Any]) -> None:
    wanted = set(agreed["clients"].values())
    known = set(Client.objects.filter(client_id__in=wanted).values_list("client_id", flat=True))
    if unknown := sorted(wanted - known):
        message = f"There is no client {unknown[0]} here. Map to the client identifiers of this installation."
        raise terms.IssuerTermsRefused(message, field="clients")


@transaction.atomic
def _write(issuer: str, agreed: dict[str, Any], *, by: Person, reason: str) -> IssuerProposal:
    row = IssuerProposal(issuer=issuer, terms=agreed)
    _hold(row)
    known = TrustedIssuer.objects.filter(issuer=issuer).first()
    if known is not None and known.purpose != agreed["purpose"]:
        raise trust.IssuerTaken(issuer=issuer)
    if not changes_of(row):
        raise KIND.unchanged
    return KIND.propose(row, by=by, reason=reason)


def current(issuer: str) -> Mapping[str, Any] | None:
    """Return the terms that are in force for an issuer."""
    row = TrustedIssuer.objects.filter(issuer=issuer, enabled=True).first()
    return {name: getattr(row, name) for name in TrustedIssuer.TERMS} if row else None


def changes_of(row: IssuerProposal) -> list[terms.Difference]:
    """Return what a proposal would change of what is in force."""
    return terms.differences(current(row.issuer), row.terms)


def _hold(row: IssuerProposal) -> None:
    locks.exclusive((Lock.REQUEST, trust.lock_name(row.issuer)))


def _detail(row: IssuerProposal) -> dict[str, Any]:
    return {**trust.shown(row.terms), "changes": [change.name for change in changes_of(row)]}


def _follow(row: IssuerProposal, by: Person) -> None:
    if row.state == State.IN_FORCE:
        trust.put_in_force(row.issuer, {**terms.USUAL, **row.terms}, by=by.principal, reason=row.reason)
    else:
        trust.end(TrustedIssuer.objects.get(issuer=row.issuer), by=by.principal, reason=row.end_reason)


KIND: Final = LastingKind(
    name="issuer",
    noun="issuer",
    model=IssuerProposal,
    subject=("issuer",),
    events={State.PROPOSED: Action.ISSUER_PROPOSED, State.WITHDRAWN: Action.ISSUER_WITHDRAWN},
    hold=_hold,
    about=lambda row: [f"issuer:{row.issuer}"],
    detail=_detail,
    follow=_follow,
    needs_reason=False,
    not_confirmer=AdminRoleNeeded,
    codes={"over": "issuer_proposal_over"},
)
