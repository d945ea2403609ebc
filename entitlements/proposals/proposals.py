"""Propose, confirm, withdraw: the same for every kind. A kind says who may, and how its terms take effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.people.models import Person, Role
from entitlements.proposals.models import Proposal

if TYPE_CHECKING:
    from django.utils.functional import Promise

    from entitlements.feed.locks import Key

_State = Proposal.State
_WITHDRAW: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)


class ProposalOver(DomainError):
    """The proposal was confirmed, withdrawn or replaced before. Read it again."""

    code, status = "proposal_over", HTTPStatus.CONFLICT


class ProposedByOwnAccount(Forbidden):
    """You proposed this, so another person confirms it."""

    code = "proposed_by_own_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of change that needs two people.

    The act that needs a second person asks its own matrix row who may propose it; `still_may` says whether they could
    now. `apply` puts the terms in force within the confirmation, under the locks, and refuses what cannot be any more.
    """

    name: str
    label: Promise
    apply: Callable[[Proposal, Person], None]
    locks: Callable[[str], Iterable[Key]]
    links: Callable[[str], list[str]]
    still_may: Callable[[str, Person], bool]
    confirmers: Collection[Role] = (Role.ADMIN, Role.SECURITY)


KINDS: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> Kind:
    """Add a kind, when its module is loaded."""
    KINDS[kind.name] = kind
    return kind


@transaction.atomic
def propose(kind: Kind, subject: str, terms: Mapping[str, Any], *, by: Principal, reason: str) -> Proposal:
    """Propose terms for a subject; what waited for it is replaced. The same terms again change and record nothing."""
    person = Person.objects.filter(login=by.name).first() if by.kind == "person" else None
    locks.exclusive(*kind.locks(subject))
    known = Proposal.objects.filter(kind=kind.name, subject=subject, state=_State.PROPOSED).first()
    if known is not None and known.terms == terms:
        return known
    replace(kind, subject, by=by, reason=reason)
    row = Proposal.objects.create(
        kind=kind.name,
        subject=subject,
        terms=dict(terms),
        reason=reason,
        proposed_by=person,
        proposed_as=str(by),
        proposed_at=clock.now(),
    )
    _record(Action.PROPOSAL_PROPOSED, row, by, reason)
    return row


def replace(kind: Kind, subject: str, *, by: Principal, reason: str) -> None:
    """End what waits for a subject, since something else was decided about it. The caller holds the kind's locks."""
    row = Proposal.objects.filter(kind=kind.name, subject=subject, state=_State.PROPOSED).first()
    if row is not None:
        _end(row, _State.REPLACED, reason)
        _record(Action.PROPOSAL_REPLACED, row, by, reason)


def no_look(_row: Proposal) -> None:
    """Accept a proposal without another look."""


@transaction.atomic
def confirm(key: UUID, *, by: Person, look: Callable[[Proposal], object] = no_look) -> Proposal:
    """Put a proposal in force, as a second person. `look` refuses what the person has not accepted.

    Raises NotFound, ProposalOver, Forbidden, ProposedByOwnAccount, and what `look` and the kind's `apply` raise.
    """
    row, kind = _held(key)
    if not by.has_role(*kind.confirmers):
        raise Forbidden
    if is_own(row, by):
        raise ProposedByOwnAccount
    if row.proposed_by is not None:
        still_may, lapse = partial(kind.still_may, row.subject), partial(withdraw, key)
        independence.check_second(row.proposed_by, by, still_may=still_may, own=ProposedByOwnAccount, lapse=lapse)
    look(row)
    row.confirmed_by = by
    _end(row, _State.CONFIRMED, "")
    kind.apply(row, by)
    _record(Action.PROPOSAL_CONFIRMED, row, by.principal, row.reason)
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> Proposal:
    """Drop a proposal. Raises NotFound, ProposalOver, Forbidden, ReasonRequired."""
    if not by.has_role(*_WITHDRAW):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired
    row, _kind = _held(key)
    _end(row, _State.WITHDRAWN, reason)
    _record(Action.PROPOSAL_WITHDRAWN, row, by.principal, reason)
    return row


def waiting(kind: Kind, subjects: Iterable[str]) -> dict[str, Proposal]:
    """Return what waits for a second person, by subject."""
    rows = Proposal.objects.filter(kind=kind.name, subject__in=list(subjects), state=_State.PROPOSED)
    return {row.subject: row for row in rows.select_related("proposed_by")}


def is_own(row: Proposal, person: Person) -> bool:
    """Whether a person, by any account, proposed it, or stands behind the script that did."""
    proposer = Principal.parse(row.proposed_as)
    logins = independence.behind(proposer) if proposer.kind == "client" else {proposer.name}
    return any(each.login in logins or each.pk == row.proposed_by_id for each in independence.accounts_of(person))


def about(row: Proposal) -> list[str]:
    """Return the links by which the record of a proposal is found again."""
    return [f"proposal:{row.pk}", *KINDS[row.kind].links(row.subject)]


def _held(key: UUID) -> tuple[Proposal, Kind]:
    """Read a proposal that waits, under the locks of its kind. Raises NotFound, ProposalOver."""
    seen = Proposal.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    kind = KINDS[seen.kind]
    locks.exclusive(*kind.locks(seen.subject))
    row = Proposal.objects.select_related("proposed_by").get(pk=key)
    if row.state != _State.PROPOSED:
        raise ProposalOver(state=row.state)
    return row, kind


def _end(row: Proposal, state: str, reason: str) -> None:
    row.state, row.ended_at, row.end_reason = state, clock.now(), reason
    row.save(update_fields=["state", "confirmed_by", "ended_at", "end_reason"])


def _record(action: Action, row: Proposal, by: Principal, reason: str) -> None:
    detail = {"kind": row.kind, "proposed_by": row.proposed_as, **row.terms}
    log.record(action, about=about(row), by=by, reason=reason, detail=detail)
