"""What two people agree on and what then holds until it is replaced or ended: one state machine for every such kind.

A kind declares its rows, who may, what is held meanwhile and what follows. Its table has the columns of
`TwoPersonProposal` beside its own, and the codes of its refusals begin with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.people.models import Person, Role
from entitlements.proposals.models import TwoPersonProposal

State = TwoPersonProposal.State
PROPOSERS: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
CONFIRMERS: Final = (Role.ADMIN, Role.SECURITY)
"""Who answers for the installation or its security."""


def _refusal(code: str, sentence: str, base: type[DomainError]) -> type[DomainError]:
    status = base.status if base is Forbidden else HTTPStatus.CONFLICT
    return type(code.title().replace("_", ""), (base,), {"__doc__": sentence, "code": code, "status": status})


def _nothing(_row: object, _by: Person) -> None:
    pass


def _no_result(_row: object, _by: Person, _reason: str) -> Mapping[str, Any]:
    return {}


def may(by: Person, reason: str, roles: Collection[Role] | None) -> None:
    """Check who acts, and that there is a reason. Raises Forbidden, ReasonRequired."""
    if roles is not None and not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LastingKind[M: TwoPersonProposal]:
    """One kind of thing that two people agree on.

    `subject` are the columns that say what a row is about: of those one waits at a time, and one is in force; None says
    that rows stand beside each other. `events` say what is recorded of each state; where `follow` records it, there is
    none. Roles that are None are left to the matrix, or to `check` and `follow`.
    """

    name: str
    noun: str
    model: type[M]
    subject: tuple[str, ...] | None
    events: Mapping[State, Action]
    hold: Callable[[M], None]
    about: Callable[[M], list[str]]
    detail: Callable[[M], Mapping[str, Any]]
    terms: Callable[[M], object] | None = None
    """What a proposal about a subject changes: the same terms again are refused."""
    follow: Callable[[M, Person], object] = _nothing
    """Puts in force what was confirmed, or undoes what ended: the row says which."""
    result: Callable[[M, Person, str], Mapping[str, Any]] = _no_result
    """Makes what a confirmed row becomes, such as a numbered version: the columns of the row that name it."""
    check: Callable[[M, Person], object] = _nothing
    """Refuses what cannot be confirmed, or not by this person."""
    still_may: Callable[[Person, M], bool] | None = None
    proposers: Collection[Role] | None = PROPOSERS
    confirmers: Collection[Role] | None = CONFIRMERS
    enders: Collection[Role] | None = (*PROPOSERS, Role.RESPONDER)
    ends_with_two: bool = False
    needs_reason: bool = True
    """Whether a proposal needs one; an end always does."""
    confirm_needs_reason: bool = False
    related: tuple[str, ...] = ()
    codes: Mapping[str, str | type[DomainError]] = field(default_factory=dict)
    """The codes of refusals that are not those of the kind's name, or the refusals; an empty one: there is none."""
    waits: str = ""
    """What is said where another one is in the way, if it is not a proposal alone."""
    not_confirmer: type[DomainError] = Forbidden
    proposed_already: type[DomainError] = field(init=False)
    unchanged: type[DomainError] = field(init=False)
    over: type[DomainError] = field(init=False)
    proposed_by_own_account: type[DomainError] = field(init=False)

    def __post_init__(self) -> None:
        noun = self.noun
        waits = self.waits or f"A proposal of this {noun} waits already. Confirm or withdraw that first."
        over = f"The {noun} is not in the state that this needs: it was confirmed, replaced, withdrawn or ended before."
        for name, base, sentence in (
            ("proposed_already", DomainError, waits),
            ("unchanged", DomainError, f"The {noun} is in force with exactly these terms already."),
            ("over", DomainError, over),
            ("proposed_by_own_account", Forbidden, f"You proposed this {noun}, so another person confirms it."),
        ):
            if code := self.codes.get(name, f"{self.name}_{name}"):
                object.__setattr__(self, name, _refusal(code, sentence, base) if isinstance(code, str) else code)

    @transaction.atomic
    def propose(self, row: M, *, by: Person, reason: str) -> M:
        """Keep a new row as a proposal. Raises Forbidden, ReasonRequired, and `unchanged` or `proposed_already`."""
        may(by, reason or ("" if self.needs_reason else "none"), self.proposers)
        self.hold(row)
        if self.terms and (known := self.in_force(row)) is not None and self.terms(known) == self.terms(row):
            raise self.unchanged
        row.reason, row.proposed_by, row.proposed_at = reason, by, clock.now()
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise self.proposed_already from error
        self._record(row, by, reason)
        return row

    @transaction.atomic
    def confirm(self, key: UUID, *, by: Person, reason: str = "") -> M:
        """Put a proposal in force, as a second person, in the place of what was.

        Raises NotFound, Forbidden, ReasonRequired, ProposerGone, `over`, `proposed_by_own_account`, and as `check` and
        `follow`.
        """
        row = self.held(key, State.PROPOSED)
        if self.confirmers is not None and not by.has_role(*self.confirmers):
            raise self.not_confirmer
        if self.confirm_needs_reason and not reason.strip():
            raise ReasonRequired
        self.check(row, by)
        independence.check_second(
            row.proposed_by,
            by,
            still_may=lambda who: self.still_may(who, row) if self.still_may else who.has_role(*(self.proposers or ())),
            own=self.proposed_by_own_account,
            lapse=partial(self.withdraw, key),
        )
        now, result = clock.now(), self.result(row, by, reason.strip())
        self._like(row).update(state=State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
        row.state, row.confirmed_by, row.confirmed_at = State.IN_FORCE, by, now
        for column, value in result.items():
            setattr(row, column, value)
        row.save(update_fields=["state", "confirmed_by", "confirmed_at", *result])
        self._record(row, by, reason or row.reason)
        self.follow(row, by)
        return row

    def withdraw(self, key: UUID, *, by: Person, reason: str) -> M:
        """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, `over`."""
        return self._end(key, State.PROPOSED, State.WITHDRAWN, by, reason)

    def end(self, key: UUID, *, by: Person, reason: str) -> M:
        """End what is in force. Raises Forbidden, ReasonRequired, NotFound, `over`, `proposed_by_own_account`."""
        return self._end(key, State.IN_FORCE, State.ENDED, by, reason)

    @transaction.atomic
    def _end(self, key: UUID, was: State, state: State, by: Person, reason: str) -> M:
        may(by, reason, self.proposers if was == State.PROPOSED else self.enders)
        row = self.held(key, was)
        if was == State.IN_FORCE and self.ends_with_two and independence.same_human(row.proposed_by, by):
            raise self.proposed_by_own_account
        row.state, row.ended_at, row.end_reason = state, clock.now(), reason
        row.save(update_fields=["state", "ended_at", "end_reason"])
        self._record(row, by, reason)
        if was == State.IN_FORCE:
            self.follow(row, by)
        return row

    def in_force(self, row: M) -> M | None:
        """Return what is in force for the subject of a row."""
        return self._like(row).select_related(*self.related, "proposed_by", "confirmed_by").first()

    def held(self, key: UUID, state: State) -> M:
        """Return a row in this state, held alone. Raises NotFound, and `over` with the state that it is in."""
        rows: QuerySet[M] = self.model._default_manager.select_related(*self.related, "proposed_by")  # noqa: SLF001
        seen = rows.filter(pk=key).first()
        if seen is None:
            raise NotFound
        self.hold(seen)
        row = rows.get(pk=key)
        if row.state != state:
            raise self.over(state=row.state)
        return row

    def _like(self, row: M) -> QuerySet[M]:
        about = {column: getattr(row, column) for column in self.subject or ()}
        rows: QuerySet[M] = self.model._default_manager.filter(state=State.IN_FORCE, **about)  # noqa: SLF001 - Django's
        return rows.none() if self.subject is None else rows

    def _record(self, row: M, by: Person, reason: str) -> None:
        if action := self.events.get(State(row.state)):
            log.record(action, about=self.about(row), by=by.principal, reason=reason, detail=self.detail(row))
