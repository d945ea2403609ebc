"""Actions on proposals about issuers: one person proposes, another confirms; ending takes one, and acts at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.clients.models import Client
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import public_keys
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers.models import IssuerProposal, TrustedIssuer

from . import discovery, terms, trust

PROPOSE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
CONFIRM: Final = (Role.ADMIN, Role.SECURITY)
"""Who may: an issuer says who people are, so those confirm who answer for the installation or its security."""
END: Final = (*PROPOSE, Role.RESPONDER)
_State = IssuerProposal.State


class AlreadyProposed(DomainError):
    """A proposal about this issuer waits already. Confirm or withdraw that first."""

    code, status = "issuer_proposed_already", HTTPStatus.CONFLICT


class NothingChanges(DomainError):
    """The issuer is trusted on exactly these terms already."""

    code, status = "issuer_unchanged", HTTPStatus.CONFLICT


class ProposalOver(DomainError):
    """The proposal is not in the state that this needs: it was confirmed, replaced, withdrawn or ended before."""

    code, status = "issuer_proposal_over", HTTPStatus.CONFLICT


class ProposedByOwnAccount(Forbidden):
    """You proposed this issuer, so another person confirms it."""

    code = "issuer_proposed_by_own_account"


class AdminRoleNeeded(Forbidden):
    """You cannot confirm this issuer: a platform admin or security approver confirms it."""

    code = "issuer_needs_admin_role"


def propose(issuer: str, *, by: Person, reason: str = "", **wanted: Any) -> IssuerProposal:  # noqa: ANN401 - terms
    """Propose to trust an issuer on the terms of `TrustedIssuer.TERMS`, or other terms for one that is trusted.

    Where neither keys nor their address are given, the address is found by discovery; that, and reading the keys,
    happens before the transaction. Raises Forbidden, NothingChanges, AlreadyProposed, and as `trust.check`,
    `discovery.find`, and IssuerTaken.
    """
    if not by.has_role(*PROPOSE):
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
    locks.exclusive((Lock.REQUEST, trust.lock_name(issuer)))
    known = TrustedIssuer.objects.filter(issuer=issuer).first()
    if known is not None and known.purpose != agreed["purpose"]:
        raise trust.IssuerTaken(issuer=issuer)
    changes = terms.differences(current(issuer), agreed)
    if not changes:
        raise NothingChanges
    try:
        with transaction.atomic():
            row = IssuerProposal.objects.create(
                issuer=issuer, terms=agreed, reason=reason, proposed_by=by, proposed_at=clock.now()
            )
    except IntegrityError as error:
        raise AlreadyProposed from error
    detail = {**trust.shown(agreed), "changes": [change.name for change in changes]}
    log.record(Action.ISSUER_PROPOSED, about=about(row), by=by.principal, reason=reason, detail=detail)
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person) -> IssuerProposal:
    """Put a proposal in force, as a second person; it replaces what was in force for the issuer.

    Raises NotFound, ProposalOver, AdminRoleNeeded, ProposedByOwnAccount, IssuerTaken.
    """
    row = _held(key, _State.PROPOSED)
    if not by.has_role(*CONFIRM):
        raise AdminRoleNeeded
    lapse = partial(withdraw, key)
    independence.check_second(
        row.proposed_by, by, still_may=lambda who: who.has_role(*PROPOSE), own=ProposedByOwnAccount, lapse=lapse
    )
    trust.put_in_force(row.issuer, {**terms.USUAL, **row.terms}, by=by.principal, reason=row.reason)
    now = clock.now()
    before = IssuerProposal.objects.filter(issuer=row.issuer, state=_State.IN_FORCE)
    before.update(state=_State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, now
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> IssuerProposal:
    """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, ProposalOver."""
    _check(by, reason, PROPOSE)
    row = _held(key, _State.PROPOSED)
    row.state, row.ended_at, row.end_reason = _State.WITHDRAWN, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])
    log.record(Action.ISSUER_WITHDRAWN, about=about(row), by=by.principal, reason=reason)
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> IssuerProposal:
    """Trust an issuer no longer: one person suffices, and every node refuses its tokens at once.

    Raises Forbidden, ReasonRequired, NotFound, ProposalOver.
    """
    _check(by, reason, END)
    row = _held(key, _State.IN_FORCE)
    trust.end(TrustedIssuer.objects.get(issuer=row.issuer), by=by.principal, reason=reason)
    row.refresh_from_db()
    return row


def current(issuer: str) -> Mapping[str, Any] | None:
    """Return the terms that are in force for an issuer."""
    row = TrustedIssuer.objects.filter(issuer=issuer, enabled=True).first()
    return {name: getattr(row, name) for name in TrustedIssuer.TERMS} if row else None


def changes_of(row: IssuerProposal) -> list[terms.Difference]:
    """Return what a proposal would change of what is in force."""
    return terms.differences(current(row.issuer), row.terms)


def about(row: IssuerProposal) -> list[str]:
    """Return the links by which the record of an issuer is found again."""
    return [f"issuer:{row.issuer}"]


def _check(by: Person, reason: str, roles: tuple[str, ...]) -> None:
    if not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _held(key: UUID, state: str) -> IssuerProposal:
    seen = IssuerProposal.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    locks.exclusive((Lock.REQUEST, trust.lock_name(seen.issuer)))
    row = IssuerProposal.objects.select_related("proposed_by").get(pk=key)
    if row.state != state:
        raise ProposalOver(state=row.state)
    return row
