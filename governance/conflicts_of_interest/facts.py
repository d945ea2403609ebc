"""How the accounts of a person stand to an agent: read for these accounts alone, since an agent may serve thousands."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person
from governance.requests.models import AccessRequest

from .rules import Standing


def of_agent(agent: Agent, accounts: Collection[Person]) -> Standing[int]:
    """Read who of these accounts answers for an agent, asked for what it holds or may come to hold, or is acted for."""
    agent.refresh_from_db(fields=["sponsor", "owner", "backup"])
    held = Grant.objects.filter(agent=agent, ended_at=None)
    subjects = GrantSubject.objects.filter(grant__in=held)
    asked = Q(state=AccessRequest.State.IN_APPROVAL) | Q(grant_id__in=held.values("pk"))
    requests = AccessRequest.objects.filter(asked, agent=agent)
    served = requests.filter(people__in=accounts).values_list("people", flat=True)
    return Standing(
        owners=frozenset(pk for pk in (agent.sponsor_id, agent.owner_id, agent.backup_id) if pk),
        requesters=frozenset(requests.filter(requested_by__in=accounts).values_list("requested_by", flat=True)),
        beneficiaries=frozenset(
            served.union(
                requests.filter(groups__people__in=accounts).values_list("groups__people", flat=True),
                subjects.filter(person__in=accounts).values_list("person", flat=True),
                subjects.filter(group__people__in=accounts).values_list("group__people", flat=True),
            )
        ),
    )
