"""The sessions before one that begins, as session policies look at them."""

from __future__ import annotations

from typing import Final

from entitlements.decisions.reads import Reads
from entitlements.session_policies.rules import EarlierSession

EARLIER: Final = """
SELECT extract(epoch FROM n.started_at)::float8, extract(epoch FROM n.last_used_at)::float8,
       extract(epoch FROM coalesce(
           n.ended_at, least(n.expires_at, n.last_used_at + make_interval(secs => n.idle_seconds))))::float8
FROM entitlements_session n WHERE n.client_id = %s AND n.person_id = %s AND n.agent_id = %s
ORDER BY n.started_at DESC LIMIT 50
"""


async def read(reads: Reads, client: int, person: int | None, agent: int | None) -> tuple[EarlierSession, ...]:
    """Return the latest sessions of an agent at a client for a person, as they are now."""
    return tuple(EarlierSession(*row) for row in await reads.rows(EARLIER, [client, person, agent]))
