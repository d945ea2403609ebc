"""Whom and what a file or a source means: known agents, systems, people and groups, each with why it matches.

Set-based: a few queries for a whole file. What is not known stays named, and is matched by a person or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Lower

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.catalog_files.offers import slug_of
from entitlements.clients.models import Client, ClientAlias
from entitlements.people.models import Group, Person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow

from .sightings import Sighting, Source, key_of

State = UnmanagedAgent.State


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Rows by what a file may call them, each with the reason; a name that means two means none."""

    systems: Mapping[str, tuple[System, str]]
    addresses: Mapping[str, System]
    people: Mapping[str, Person]
    groups: Mapping[str, Group]

    def system(self, seen: Sighting) -> tuple[System | None, str]:
        """Find the system of a sighting, and say by what."""
        if seen.address and (system := self.addresses.get(seen.address)):
            return system, "address"
        return self.systems.get(seen.system.casefold()) or self.systems.get(slug_of(seen.system)) or (None, "")


def known(sightings: Sequence[Sighting]) -> KnownRows:
    """Look up the systems, people and groups that sightings name. People are found by login, else by their address."""
    systems: dict[str, tuple[System, str]] = {}
    rows = list(System.objects.exclude(kind=System.Kind.BUILTIN).order_by("pk"))
    for name, system in _once((system.name.casefold(), system) for system in rows).items():
        systems[name] = (system, "name")
    systems |= {system.slug: (system, "slug") for system in rows}
    addresses = _once((system.upstream_url, system) for system in rows if system.upstream_url)
    groups = {seen.group for seen in sightings if seen.group}
    matching = list(Group.objects.filter(Q(slug__in=groups) | Q(name__in=groups)))
    return KnownRows(
        systems,
        addresses,
        people(seen.person for seen in sightings),
        {**_once((group.name, group) for group in matching), **{group.slug: group for group in matching}},
    )


def people(names: Iterable[str]) -> dict[str, Person]:
    """Find people by login, else by an address that one of them alone has; returns them by name, in small letters."""
    named = {name.casefold() for name in names if name}
    rows = Person.objects.alias(mail=Lower("email"), low=Lower("login")).filter(Q(low__in=named) | Q(mail__in=named))
    listed = list(rows.order_by("pk")) if named else []
    by_mail = _once((person.email.casefold(), person) for person in listed if person.email)
    return {**by_mail, **{person.login.casefold(): person for person in listed}}


def agents(
    sightings: Sequence[Sighting], *, source: Source, now: datetime, by_client_alone: bool = False
) -> dict[str, UnmanagedAgent]:
    """Keep the agents that sightings name, matched where they are known; returns them by key.

    With `by_client_alone` a name proves nothing: only a client identifier matches.
    """
    first: dict[str, Sighting] = {}
    used: dict[str, datetime] = {}
    for sighting in sightings:
        key = key_of(sighting.agent, sighting.client_id)
        first.setdefault(key, sighting)
        if sighting.last_used:
            used[key] = max(used.get(key, sighting.last_used), min(sighting.last_used, now))
    matches = _agents(first, by_client_alone=by_client_alone)
    UnmanagedAgent.objects.bulk_create(
        [
            _seen(key, first_sighting, matches.get(key), source, used.get(key, now), now)
            for key, first_sighting in first.items()
        ],
        ignore_conflicts=True,
    )
    rows = {row.key: row for row in UnmanagedAgent.objects.select_for_update().filter(key__in=first).order_by("pk")}
    for key, row in rows.items():
        row.last_seen_at = max(row.last_seen_at, used.get(key, row.last_seen_at))
        if row.state == State.UNMATCHED and key in matches:
            row.state, (row.agent, row.because) = State.MATCHED, matches[key]
            unmanaged_agents.move(row, matches[key][0])
    UnmanagedAgent.objects.bulk_update(
        list(rows.values()), ["last_seen_at", "state", "agent", "because"], batch_size=1000
    )
    return rows


def workflows(reached: Iterable[tuple[UnmanagedAgent, System, datetime | None]], *, now: datetime) -> None:
    """Put where agents were seen on the map, as known and not governed; what is there only learns its last use."""
    last: dict[tuple[int | None, int | None, int], datetime | None] = {}
    for seen, system, used in reached:
        pair = (seen.agent_id, None if seen.agent_id else seen.pk, system.pk)
        last[pair] = max(filter(None, (last.get(pair), used)), default=None)
    rows = [
        Workflow(
            agent_id=agent,
            seen_id=seen,
            system_id=system,
            origin=Workflow.Origin.SEEN,
            state=Workflow.State.KNOWN,
            changed_at=now,
            last_used_at=used,
        )
        for (agent, seen, system), used in last.items()
    ]
    Workflow.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    systems = {system for _, _, system in last}
    there = Workflow.objects.filter(origin=Workflow.Origin.SEEN, system__in=systems).select_for_update().order_by("pk")
    later = []
    for row in there:
        used = last.get((row.agent_id, row.seen_id, row.system_id))
        if used and (row.last_used_at is None or used > row.last_used_at):
            row.last_used_at = used
            later.append(row)
    Workflow.objects.bulk_update(later, ["last_used_at"], batch_size=1000)


def _agents(first: Mapping[str, Sighting], *, by_client_alone: bool) -> dict[str, tuple[Agent, str]]:
    """Match names with agents that are not retired: by client identifier, by one at a system, by slug, by name."""
    ids = {candidate.client_id for candidate in first.values() if candidate.client_id} | {
        candidate.agent for candidate in first.values()
    }
    slugs = {slug_of(candidate.agent) for candidate in first.values()}
    live = Agent.objects.exclude(status=Agent.Status.RETIRED)
    clients = Client.objects.filter(client_id__in=ids, agent__in=live).select_related("agent")
    by_client = {client.client_id: client.agent for client in clients}
    aliases = ClientAlias.objects.filter(foreign_id__in=ids, client__agent__in=live).select_related("client__agent")
    by_alias = _once((alias.foreign_id, alias.client.agent) for alias in aliases)
    rows = list(live.filter(Q(slug__in=slugs) | Q(name__in={candidate.agent for candidate in first.values()})))
    by_slug, by_name = {row.slug: row for row in rows}, _once((row.name, row) for row in rows)
    result: dict[str, tuple[Agent, str]] = {}
    for key, sighting in first.items():
        client = sighting.client_id or ("" if by_client_alone else sighting.agent)
        tries = [(by_client.get(client), "client_id"), (by_alias.get(client), "alias")]
        if not by_client_alone:
            tries += [(by_slug.get(slug_of(sighting.agent)), "slug"), (by_name.get(sighting.agent), "name")]
        for agent, because in tries:
            if agent is not None:
                result[key] = (agent, because)
                break
    return result


def _seen(
    key: str, sighting: Sighting, match: tuple[Agent, str] | None, source: Source, last: datetime, now: datetime
) -> UnmanagedAgent:
    return UnmanagedAgent(
        key=key,
        name=sighting.agent,
        client_id=sighting.client_id,
        state=State.MATCHED if match else State.UNMATCHED,
        agent=match[0] if match else None,
        because=match[1] if match else "",
        source=source.value,
        first_seen_at=now,
        last_seen_at=last,
    )


def _once[T: (System, Person, Group, Agent, Agent | None)](named: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return rows by name, without names that several have."""
    rows_by_name: defaultdict[str, list[T]] = defaultdict(list)
    for name, row in named:
        if row not in rows_by_name[name]:
            rows_by_name[name].append(row)
    return {name: rows[0] for name, rows in rows_by_name.items() if len(rows) == 1}
