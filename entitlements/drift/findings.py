"""What the detectors find: in events of the audit log, and in the history that is kept of agents and sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from django.db.models import Q

from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent, AgentVersion
from entitlements.agents.rules import is_attested
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.risk.rules import Kind
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily

from . import history, rules
from .history import Window
from .rules import Detector

_CLIENTS: Final = (Action.CLIENT_KEYS_REPLACED, Action.CLIENT_SECRET_ROTATED, Action.CLIENT_DOCUMENT_APPLIED)
READ: Final[Mapping[Kind, tuple[Action, ...]]] = MappingProxyType(
    {
        Kind.CLIENT_DRIFT: _CLIENTS,
        Kind.VERSION_DRIFT: (Action.AGENT_VERSION_REPORTED,),
        Kind.PERSON_DRIFT: (Action.PERSON_EDITED,),
    }
)
"""The events that a detector reads; the others look at the history."""
_HOUR: Final = timedelta(hours=1)
_MOST_VERSIONS: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector found about one agent, person or session, and when that was; `lasts` is how long it went on.

    `of` tells one finding from another.
    """

    detector: Detector
    at: datetime
    reason: str
    of: str
    agent: int | None = None
    person: int | None = None
    session: UUID | None = None
    lasts: timedelta = timedelta()

    @property
    def reference(self) -> str:
        """The name under which it is noted once."""
        return f"{self.detector.name}@{self.detector.version}:{self.of}"


def in_events(events: Iterable[Event]) -> Iterator[Finding]:
    """Find what events tell of."""
    some = list(events)
    yield from _people([event for event in some if event.action == Action.PERSON_EDITED])
    for event in some:
        if event.action in _CLIENTS:
            yield from _clients(event)
        elif event.action == Action.AGENT_VERSION_REPORTED:
            yield from _versions(event)


def _people(events: list[Event]) -> Iterator[Finding]:
    """Find people who moved and for whom an agent acts: with a session, a sign-in that lasts, or a grant."""
    moved = {
        login: (event, said) for event in events if (said := rules.of_person(event.detail)) for login in _person(event)
    }
    if not moved:
        return
    grants = Grant.objects.filter(ended_at=None)
    by_group = grants.values("subjects__group__memberships__person")
    served = (
        Q(pk__in=Session.objects.filter(ended_at=None).values("person"))
        | Q(pk__in=TokenFamily.objects.filter(ended_at=None).values("person"))
        | Q(pk__in=grants.values("subjects__person"))
        | Q(pk__in=by_group)
    )
    people = Person.objects.filter(served, login__in=moved, is_active=True)
    for key, login in people.order_by("pk").values_list("pk", "login"):
        event, said = moved[login]
        yield _finding(Kind.PERSON_DRIFT, event, said, person=key)


def _clients(event: Event) -> Iterator[Finding]:
    """Find the agents of a client that has another key or redirect: its own, or those that act by it now."""
    said = rules.of_client(event.action, event.detail)
    if said is None:
        return
    own = Q(clients__client_id__in=event.keys("client"))
    sessions = Session.objects.filter(client__client_id__in=event.keys("client"), ended_at=None)
    agents = Agent.objects.filter(own | Q(pk__in=sessions.values("agent"))).exclude(status=Agent.Status.RETIRED)
    for key in agents.order_by("pk").values_list("pk", flat=True).distinct():
        yield _finding(Kind.CLIENT_DRIFT, event, said, agent=key)


def _versions(event: Event) -> Iterator[Finding]:
    """Find an agent whose attested version is another than the attested one before. Reported ones count as not seen."""
    now = event.detail.part("to")
    if not is_attested(now.text("source"), event.actor):
        return
    for agent in Agent.objects.filter(slug__in=event.keys("agent")).exclude(status=Agent.Status.RETIRED):
        rows = AgentVersion.objects.filter(agent=agent, reported_at__lte=event.at).order_by("-reported_at", "-pk")
        attested = [row for row in rows[:_MOST_VERSIONS] if row.is_attested]
        before = next(({"model": row.model, "prompt_sha256": row.prompt_sha256} for row in attested[1:]), None)
        if said := rules.of_version(before, now):
            yield _finding(Kind.VERSION_DRIFT, event, said, agent=agent.pk)


def _finding(kind: Kind, event: Event, said: str, *, agent: int | None = None, person: int | None = None) -> Finding:
    of = f"{event.uuid}:{agent or person}"
    return Finding(rules.OF_KIND[kind], agent=agent, person=person, at=event.at, reason=said, of=of)


def _person(event: Event) -> list[str]:
    return event.keys("person")[:1]


def _of_networks(window: Window) -> Iterator[Finding]:
    detector = rules.OF_KIND[Kind.NETWORK_DRIFT]
    for session, at, began, now in history.other_networks(window):
        said = rules.of_network(began, now)
        of = f"{session}:{'network' if began == now else now}"
        yield Finding(detector, session=session, at=at, reason=said, of=of)


def _of_tool_classes(window: Window) -> Iterator[Finding]:
    detector = rules.OF_KIND[Kind.TOOL_CLASS_DRIFT]
    for agent, hour, tool_class, before in history.first_classes(window):
        if said := rules.of_tool_class(tool_class, before, used_before=False):
            of = f"{agent}:{tool_class}:{hour:%Y%m%d%H}"
            yield Finding(detector, agent=agent, at=hour, reason=said, of=of, lasts=_HOUR)


def _of_hours(window: Window) -> Iterator[Finding]:
    detector = rules.OF_KIND[Kind.HOUR_DRIFT]
    for agent, hour, before in history.unusual_hours(window):
        if said := rules.of_hour(hour.hour, before, used_near=False):
            yield Finding(detector, agent=agent, at=hour, reason=said, of=f"{agent}:{hour:%Y%m%d}", lasts=_HOUR)


def _of_volumes(window: Window) -> Iterator[Finding]:
    detector = rules.OF_KIND[Kind.VOLUME_DRIFT]
    for agent, hour, calls, before in history.busy_hours(window):
        if said := rules.of_volume(calls, before):
            yield Finding(detector, agent=agent, at=hour, reason=said, of=f"{agent}:{hour:%Y%m%d}", lasts=_HOUR)


IN_HISTORY: Final[Mapping[Kind, Callable[[Window], Iterator[Finding]]]] = MappingProxyType(
    {
        Kind.NETWORK_DRIFT: _of_networks,
        Kind.TOOL_CLASS_DRIFT: _of_tool_classes,
        Kind.HOUR_DRIFT: _of_hours,
        Kind.VOLUME_DRIFT: _of_volumes,
    }
)
"""The detectors that look at the history, each by what it is asked about."""
