"""Through which agent a client acts for a person: known at once, or once the person is, by their open connection."""

from __future__ import annotations

from entitlements import ratelimits
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.connections import connected_agent
from entitlements.edge import door, refusals
from entitlements.edge.door import Attempt


def check_agent(caller: Caller) -> None:
    """Refuse a client that acts for no person at all: it has no agent, and its people have none. Raises Refused."""
    if caller.agent is None and caller.serves != Client.Serves.PERSONAL_AGENTS:
        raise refusals.Refused("unauthorized_client", "client_without_agent", "The client belongs to no agent.")


async def for_person(attempt: Attempt, caller: Caller, person: int, system: str) -> Caller:
    """Return the client with the agent through which it acts for a person at a system, by primary key and slug.

    From here on the attempt is of that agent. Raises Refused without an agent, and without an open connection, and
    TooMany.
    """
    check_agent(caller)
    count(attempt, caller, person)
    found = await connected_agent.for_person(attempt.reads, caller, person)
    if found.agent is None:
        raise connection_missing()
    if found is not caller:
        attempt.by, attempt.ask = found.principal, door.request_link(found.agent, system)
        attempt.about.append(f"agent:{found.agent}")
    return found


def count(attempt: Attempt, caller: Caller, person: int) -> None:
    """Count a request once for the person whom it is for: with this client, then with all. Raises TooMany.

    What the client's own share turns away is not counted for the person, so no client shuts out the person's others.
    """
    if not attempt.is_counted_for_person:
        attempt.is_counted_for_person = True
        attempt.outside.check_rate(f"{person} {caller.client_id}", ratelimits.PERSON)
        attempt.outside.check_rate(str(person), ratelimits.PERSON_AT_ALL)


def connection_missing() -> refusals.Refused:
    """Return the refusal of a person whose connection with a client has ended, or never began."""
    message = "The person has no open connection with this client. They must sign in at it again."
    return refusals.invalid_grant(message, "connection_missing")
