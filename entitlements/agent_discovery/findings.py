"""What a run found, kept: rows of the source, the unmanaged agents that they are, and what is no longer listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import F

from entitlements.agent_discovery.models import DiscoveredEntry, DiscoverySource
from entitlements.conflicts import independence
from entitlements.people import mailboxes
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import UnmanagedAgent

from . import matches
from .pull import Listed
from .shapes import FoundRow
from .sightings import Contents, Sighting, Source, key_of, take

type _Rows = dict[tuple[str, str], FoundRow]


def keep(source: DiscoverySource, lists: Sequence[Listed], *, now: datetime) -> dict[str, int]:
    """Keep what was read of a source, and return the counts. Twice the same rows change nothing but `last_seen_at`.

    Needs a transaction. A client identifier alone links a row with an agent or client of ours: a name proves nothing.
    Only a list that was read to its end says what is gone.
    """
    rows, repeated = _once(lists)
    contents = Contents(Source(source.kind))
    taken: dict[tuple[str, str], Sighting] = {}
    for number, (place, row) in enumerate(rows.items(), 1):
        before = len(contents.sightings)
        for name, address in row.systems or (("", ""),):
            take(contents, Sighting(number, row.name, row.client_id, system=name, address=address))
        if len(contents.sightings) > before:
            taken[place] = contents.sightings[before]
    keys = {key_of(each.agent, each.client_id) for each in contents.sightings}
    known = set(UnmanagedAgent.objects.filter(key__in=keys).values_list("key", flat=True))
    agents = matches.agents(contents.sightings, source=contents.source, now=now, by_client_alone=True)
    UnmanagedAgent.objects.filter(pk__in=[agent.pk for agent in agents.values()]).update(last_seen_at=now)
    _reached(contents.sightings, agents, now)
    _entries(source, {place: (rows[place], _agent(agents, each)) for place, each in taken.items()}, now)
    complete = [listed.name for listed in lists if listed.problem is None]
    gone = DiscoveredEntry.objects.filter(source=source, listing__in=complete, vanished_at=None, last_seen_at__lt=now)
    return {
        "found": len(taken),
        "new": len(agents.keys() - known),
        "linked": sum(agent.state == UnmanagedAgent.State.MATCHED for agent in agents.values()),
        "unmanaged": sum(agent.state == UnmanagedAgent.State.UNMATCHED for agent in agents.values()),
        "vanished": gone.update(vanished_at=now),
        "repeated": repeated,
        "skipped": sum(listed.skipped for listed in lists) + len(rows) - len(taken),
    }


def _once(lists: Iterable[Listed]) -> tuple[_Rows, int]:
    """Return each row of each list once, with all its systems, and how many said nothing new."""
    rows: _Rows = {}
    repeated = 0
    for listed in lists:
        for row in listed.found:
            place = (listed.name, row.external_id)
            if (before := rows.get(place)) is None:
                rows[place] = row
                continue
            systems = tuple(dict.fromkeys((*before.systems, *row.systems)))
            repeated += systems == before.systems
            rows[place] = replace(before, systems=systems)
    return rows, repeated


def _agent(agents: dict[str, UnmanagedAgent], sighting: Sighting) -> UnmanagedAgent:
    return agents[key_of(sighting.agent, sighting.client_id)]


def _reached(sightings: Sequence[Sighting], agents: dict[str, UnmanagedAgent], now: datetime) -> None:
    """Put agents on the coverage map at the systems of ours that they reach."""
    naming = [sighting for sighting in sightings if sighting.system or sighting.address]
    known = matches.known(naming)
    reached = [(_agent(agents, sighting), known.system(sighting)[0]) for sighting in naming]
    matches.workflows(((agent, system, None) for agent, system in reached if system is not None), now=now)


def _entries(
    source: DiscoverySource, found: dict[tuple[str, str], tuple[FoundRow, UnmanagedAgent]], now: datetime
) -> None:
    owners = _owners(row.owner for row, _agent in found.values() if row.owner)
    entries = [
        DiscoveredEntry(
            source=source,
            listing=listing,
            external_id=external_id,
            seen=agent,
            owner_id=owners.get(mailboxes.mailbox(row.owner)),
            first_seen_at=now,
            last_seen_at=now,
        )
        for (listing, external_id), (row, agent) in found.items()
    ]
    DiscoveredEntry.objects.bulk_create(
        entries,
        batch_size=2000,
        update_conflicts=True,
        unique_fields=["source", "listing", "external_id"],
        update_fields=["seen", "owner", "last_seen_at", "vanished_at"],
    )


def _owners(mails: Iterable[str]) -> dict[str, int]:
    """Find the active people whose mailbox is named, without mailboxes that several have; returns ids by mailbox."""
    boxes = {mailboxes.mailbox(mail) for mail in mails}
    rows = Person.objects.filter(is_active=True).alias(box=independence.mailbox(F("email"))).filter(box__in=boxes)
    pairs = [(mailboxes.mailbox(email), pk) for pk, email in rows.values_list("pk", "email")] if boxes else []
    times = Counter(box for box, _pk in pairs)
    return {box: pk for box, pk in pairs if times[box] == 1}
