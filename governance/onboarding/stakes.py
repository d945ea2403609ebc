"""Who has a conflict of interest in onboarding an agent: who owns it or is its backup owner, and who is served by it.

Such a person neither becomes its sponsor by it nor confirms it, by any of their accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q

from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.grants.models import GrantSubject
from entitlements.people.models import Person
from governance.conflicts_of_interest import rules
from governance.conflicts_of_interest.rules import Standing

from .grants import Plan


@dataclass(slots=True)
class Stakes:
    """Says of many agents who has a conflict of interest in them; what is read of each person is read once."""

    _read: dict[int, tuple[list[int], set[int]]] = field(default_factory=dict)

    def has(self, person: Person | None, agent: Agent | None, made: Plan) -> bool:
        """Whether a person owns an agent, is served by what it holds, or would be by what is to be made."""
        if person is None:
            return False
        accounts, served_by = self._of(person)
        served = accounts if agent is not None and agent.pk in served_by else ()
        owners = {agent.owner_id, agent.backup_id} - {None} if agent else set[int]()
        standing = Standing(owners=frozenset(owners), beneficiaries=made.beneficiaries.union(served))
        return rules.conflict(accounts, standing) is not None

    def _of(self, person: Person) -> tuple[list[int], set[int]]:
        """Return the accounts of a person, and the agents whose grants serve them."""
        if person.pk not in self._read:
            accounts = [account.pk for account in independence.accounts_of(person)]
            served = Q(person__in=accounts) | Q(group__people__in=accounts)
            held = GrantSubject.objects.filter(served, grant__ended_at=None)
            self._read[person.pk] = accounts, set(held.values_list("grant__agent", flat=True))
        return self._read[person.pk]
