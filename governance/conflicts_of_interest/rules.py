"""Pure: who must not decide. A person who stands in one of the relations below has a conflict of interest.

The rule is the same for every decision. What differs is which relations a decision has: that is data, a `Standing`.
People are logins or keys, whichever the caller has. A second account is no second person: callers pass every account.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The rule by which a person must not decide, or is not asked. The values are stored with each decision."""

    INACTIVE = "inactive"
    REQUESTED_IT = "requested_it"
    BENEFITS = "benefits"
    OWNS_THE_AGENT = "owns_the_agent"
    APPROVED_IT = "approved_it_lately"
    ANSWERED_ALREADY = "answered_another_stage"
    ABSTAINED = "could_not_judge"
    OVER_LOAD = "has_enough_to_review"
    THEIR_OWN = "their_own"
    UNREACHABLE = "mail_came_back"
    GAVE_IT = "gave_it_at_their_system"
    TOO_FEW = "fewer_than_two_people"
    SEES_IT = "sees_the_answer"
    CAME_LATER = "came_later"
    ANSWERED_APPEALED = "answered_what_is_appealed"
    NEEDED_ELSEWHERE = "needed_in_another_stage"


OF_REVIEWS: Final = tuple(
    reason for reason in Reason if reason not in (Reason.CAME_LATER, Reason.ANSWERED_APPEALED, Reason.NEEDED_ELSEWHERE)
)
"""The reasons that the API names for a review item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing[Id]:
    """How people stand to one decision. A relation that a decision does not have is empty.

    `own`: it is about them. `requesters` asked for it, or own an agent that asked. `owners` are or were technical owner
    of the agent, or answer for it. `beneficiaries` are acted for. `newcomers` came to their office after the request.
    `appealed` answered the request that this one appeals; `approvers` approved the access; `answered` answered another
    stage; `gave` approved it at their own system; `sees` know the answer. `asked_first` is asked about their own.
    `abstained`, `busy` and `unreachable` may decide, and are not asked.
    """

    active: frozenset[Id] = frozenset()
    own: frozenset[Id] = frozenset()
    requesters: frozenset[Id] = frozenset()
    owners: frozenset[Id] = frozenset()
    beneficiaries: frozenset[Id] = frozenset()
    newcomers: frozenset[Id] = frozenset()
    appealed: frozenset[Id] = frozenset()
    approvers: frozenset[Id] = frozenset()
    answered: frozenset[Id] = frozenset()
    gave: frozenset[Id] = frozenset()
    sees: frozenset[Id] = frozenset()
    asked_first: Id | None = None
    abstained: frozenset[Id] = frozenset()
    busy: frozenset[Id] = frozenset()
    unreachable: frozenset[Id] = frozenset()

    @property
    def conflicts(self) -> tuple[tuple[Reason, Collection[Id]], ...]:
        """The relations in which a person must not decide, in the order in which they are named."""
        return (
            (Reason.THEIR_OWN, self.own),
            (Reason.REQUESTED_IT, self.requesters),
            (Reason.OWNS_THE_AGENT, self.owners),
            (Reason.BENEFITS, self.beneficiaries),
            (Reason.CAME_LATER, self.newcomers),
            (Reason.ANSWERED_APPEALED, self.appealed),
            (Reason.APPROVED_IT, self.approvers),
            (Reason.ANSWERED_ALREADY, self.answered),
            (Reason.GAVE_IT, self.gave),
            (Reason.SEES_IT, self.sees),
        )


def conflicts[Id](accounts: Iterable[Id], standing: Standing[Id]) -> Iterator[Reason]:
    """Yield each rule by which a person must not decide, through any of their accounts."""
    for account in accounts:
        if account != standing.asked_first:
            yield from (reason for reason, people in standing.conflicts if account in people)


def conflict[Id](accounts: Iterable[Id], standing: Standing[Id]) -> Reason | None:
    """Return the rule by which a person must not decide; None where they may. Promise 6, invariant 8."""
    return next(conflicts(accounts, standing), None)


def skip_reason[Id](account: Id, standing: Standing[Id]) -> Reason | None:
    """Return why an account is not asked: it is inactive, has a conflict, abstained, has enough, or gets no mail."""
    if account not in standing.active:
        return Reason.INACTIVE
    not_asked = (
        (Reason.ABSTAINED, standing.abstained),
        (Reason.OVER_LOAD, standing.busy),
        (Reason.UNREACHABLE, standing.unreachable),
    )
    return conflict([account], standing) or next((reason for reason, people in not_asked if account in people), None)
