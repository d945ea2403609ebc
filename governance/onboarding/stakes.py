"""Who has a stake in an agent that is onboarded: its owner, its backup owner, or a person it acts for.

Such a person can neither accept nor confirm it, by any of their accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q

from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.grants.models import GrantSubject
from entitlements.people.models import Membership, Person

from .grants import Plan


@dataclass(frozen=True, slots=True)
class _Stake:
    accounts: frozenset[int]
    groups: frozenset[int]
    served_by: frozenset[int]

    def is_in(self, agent: Agent | None, plan: Plan) -> bool:
        owns = agent is not None and bool(self.accounts & {agent.owner_id, agent.backup_id})
        held = agent is not None and agent.pk in self.served_by
        listed = any(self.accounts & piece.people or self.groups & piece.groups for piece in plan.pieces)
        return owns or held or listed


@dataclass(slots=True)
class Stakes:
    """Tells for many agents who has a stake in them; each person is read once."""

    _known: dict[int, _Stake] = field(default_factory=dict)

    def has(self, person: Person | None, agent: Agent | None, plan: Plan) -> bool:
        """Whether a person owns an agent, or benefits from its grants or from those that would be made."""
        if person is None:
            return False
        if person.pk not in self._known:
            self._known[person.pk] = _read(person)
        return self._known[person.pk].is_in(agent, plan)


def _read(person: Person) -> _Stake:
    accounts = [account.pk for account in independence.accounts_of(person)]
    groups = Membership.objects.filter(person__in=accounts).values_list("group", flat=True)
    mine = Q(person__in=accounts) | Q(group__in=groups)
    held = GrantSubject.objects.filter(mine, grant__ended_at=None).values_list("grant__agent", flat=True)
    return _Stake(frozenset(accounts), frozenset(groups), frozenset(held))
