"""Which agent a client acts through for a person: its own, or the one that the person's open connection names."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.decisions.reads import FeedSubject, Reads, Rows

_AGENT: Final = """
SELECT a.id, a.slug, a.sponsor_id, a.owner_id, k.client_id, k.person_id FROM entitlements_connection k
JOIN entitlements_agent a ON a.id = k.agent_id
WHERE k.client_id = %s AND k.person_id = %s AND k.ended_at IS NULL
"""


async def for_person(reads: Reads, caller: Caller, person: int) -> Caller:
    """Return the client with the agent through which it acts for a person, by primary key; without, if there is none.

    A client with an agent of its own is returned as it is, and nothing is read.
    """
    if caller.serves != Client.Serves.PERSONAL_AGENTS:
        return caller
    rows = await reads.kept(_AGENT, [caller.pk, person], _about)
    if not rows:
        return caller
    agent_pk, agent, sponsor_pk, owner_pk, *_ = rows[0]
    return replace(caller, agent_pk=agent_pk, agent=agent, sponsor_pk=sponsor_pk, owner_pk=owner_pk)


def _about(rows: Rows) -> list[FeedSubject]:
    """Name whom the row is about: what ends a connection names its agent."""
    agent, *_, client, person = rows[0]
    return [("agent_id", agent), ("client_id", client), ("person_id", person)]
