"""The sign-in that session policies ask for at the identity side, where no system is named yet.

What a person signs in to there is exchanged for tokens of any system at which the client's agent acts for them. So all
their policies are asked at once, and no exchange needs another sign-in.
"""

from __future__ import annotations

from django.db.models import Q

from audit import clock
from entitlements import codes
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.decisions.verdicts import Remedy
from entitlements.grants.models import GrantLine
from entitlements.people.models import Person
from entitlements.session_policies import rules
from entitlements.session_policies.models import SessionPolicy
from entitlements.session_policies.rules import SignedIn
from entitlements.tokens import earlier_sessions
from entitlements.words import Risk

from . import consent


def needed_sign_in(client: Client, person: Person, signed_in: SignedIn) -> Remedy | None:
    """Return the sign-in that policies ask for where the agent acts for a person; None where this one is enough."""
    agent = consent.agent_for(client, person)
    rows = SessionPolicy.objects.filter(state=SessionPolicy.State.IN_FORCE)
    rows = rows.filter(agent_kind__in=["", agent.kind if agent else ""])
    levels = _levels(agent.pk if agent else None, person)
    applying = [row for row in rows.order_by("name") if _applies(row, levels)]
    terms = rules.combined([row.rule for row in applying])
    if terms is None:
        return None
    earlier = own_connection.run(earlier_sessions.read(READS, client.pk, person.pk, agent.pk if agent else None))
    short = rules.of_beginning(terms, signed_in, earlier, clock.now().timestamp())
    if short is None:
        return None
    meaning = codes.meaning(Code.REAUTHENTICATION_DUE)
    return Remedy(meaning.next, meaning.remedy, max_age=short.max_age, contexts=short.contexts)


def _levels(agent: int | None, person: Person) -> dict[int, int]:
    """Return by system how risky the most risky tool is that an agent holds for a person, as a rank."""
    theirs = Q(grant__subjects__person=person) | Q(grant__subjects__group__memberships__person=person)
    lines = GrantLine.objects.filter(theirs, grant__agent=agent, grant__ended_at=None)
    levels: dict[int, int] = {}
    for system, risk in lines.values_list("tool__system", "tool__risk").distinct():
        levels[system] = max(levels.get(system, 0), Risk(risk).rank)
    return levels


def _applies(row: SessionPolicy, levels: dict[int, int]) -> bool:
    """Whether a policy applies at one of the systems; one for every system and every risk level always does."""
    rank = Risk(row.risk or Risk.LOW).rank
    at = max(levels.values(), default=0) if row.system_id is None else levels.get(row.system_id, -1)
    return rank <= at
