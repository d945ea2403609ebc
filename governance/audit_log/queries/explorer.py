"""Finding events by their facets, fast in a log of millions: by an index, or in a window of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from audit.export import timeline
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller

from . import names, sentences
from .filters import LANES, OUTCOMES, Filters, lane_of

SIZE: Final = 50
COUNTED: Final = 1000
"""How many of the events found the counts of the facets are made of."""
WINDOW: Final = 20_000
"""How many events are searched at once for what no index finds."""
_CHOICES: Final = 6
_AROUND: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A page of events, where the next begins, what the facets count, and whether the search ended at its window."""

    events: list[Event]
    next: timeline.EventPlace | None
    counted: list[Event]
    more: bool
    cut: bool = False


@dataclass(frozen=True, slots=True)
class FacetChoice:
    """One value of a facet, and how many of the counted events have it."""

    value: str
    label: Any
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A facet by its name in the address, with its most frequent values."""

    name: str
    label: Any
    choices: list[FacetChoice]


def find(
    filters: Filters, events: QuerySet[Event], after: timeline.EventPlace | None, *, is_whole: bool = False
) -> Found:
    """Return a page of what the filters leave of the events that the reader may read; `is_whole`: of all there are."""
    actions, edge = filters.actions, None
    if is_whole and actions is not None and not (filters.links or filters.texts):
        times = {"since": filters.since, "until": filters.until}
        rows = timeline.page_of_actions(
            actions, after=after, limit=COUNTED + 1, newest_first=filters.newest_first, **times
        )
    else:
        events = rows_of(filters, events)
        if filters.texts:
            edge = timeline.place_after(events, after=after, count=WINDOW, newest_first=filters.newest_first)
            if edge is not None:
                events = events.filter(**{"at__gte" if filters.newest_first else "at__lte": edge.at})
        events = _holding(events, filters)
        rows = timeline.page(events, after=after, limit=COUNTED + 1, newest_first=filters.newest_first)
    matched = [event for event in rows if filters.match(event)]
    following = timeline.place(matched[SIZE - 1]) if matched[SIZE:] else edge
    return Found(matched[:SIZE], following, matched[:COUNTED], len(rows) > COUNTED, cut=edge is not None)


def event(link: str) -> QuerySet[Event]:
    """Return the one event of a link "event:uuid"."""
    key = link.partition(":")[2]
    return Event.objects.filter(uuid=key) if names.is_uuid(key) else Event.objects.none()


def rows_of(filters: Filters, events: QuerySet[Event]) -> QuerySet[Event]:
    """Narrow events by what an index finds."""
    if filters.links:
        events = events.filter(links__contains=filters.links)
    if filters.since:
        events = events.filter(at__gte=filters.since)
    if filters.until:
        events = events.filter(at__lt=filters.until)
    return events if filters.actions is None else events.filter(action__in=filters.actions)


def _holding(events: QuerySet[Event], filters: Filters) -> QuerySet[Event]:
    for text in filters.texts:
        events = events.filter(body__contains=text)
    return events


def everything(filters: Filters, events: QuerySet[Event]) -> Iterator[list[Event]]:
    """Yield all events that the filters leave, a part at a time: what an export writes."""
    events, after = _holding(rows_of(filters, events), filters), None
    while rows := timeline.page(events, after=after, limit=COUNTED, newest_first=filters.newest_first):
        after = timeline.place(rows[-1])
        yield [event for event in rows if filters.match(event)]


def facet_counts(filters: Filters, counted: Sequence[Event], known: dict[str, str]) -> list[Facet]:
    """Count the values of each facet among the events found; what is chosen is always among them."""
    lanes = Counter(lane_of(event.action) for event in counted)
    linked = {kind: _linked(counted, kind) for kind in ("agent", "system")}
    agent_names = {value: known.get(f"agent:{value}", value) for value in linked["agent"]}
    system_names = {value: known.get(f"system:{value}", value) for value in linked["system"]}
    actors = Counter(event.actor for event in counted)
    actions = Counter(event.action for event in counted)
    codes = Counter(event.code for event in counted if event.code)
    made = [
        _facet("lane", _("Part"), lanes, dict(LANES), next(iter(filters.lanes), "")),
        _facet("outcome", _("Outcome"), Counter(event.outcome for event in counted), OUTCOMES, filters.outcome),
        _facet("action", _("Event"), actions, {each: sentences.sentence_of(each) for each in actions}, filters.action),
        _facet("actor", _("Actor"), actors, {each: known.get(each, each) for each in actors}, filters.actor),
        _facet("agent", _("Agent"), linked["agent"], agent_names, filters.agent),
        _facet("system", _("System"), linked["system"], system_names, filters.system),
        _facet("code", _("Code"), codes, {}, filters.code),
    ]
    return [facet for facet in made if facet.choices]


def _linked(events: Sequence[Event], kind: str) -> Counter[str]:
    prefix = f"{kind}:"
    return Counter(
        link.removeprefix(prefix) for event in events for link in set(event.links) if link.startswith(prefix)
    )


def _facet(name: str, label: Any, counts: Counter[str], labels: Any, chosen: str) -> Facet:  # noqa: ANN401 - lazy texts
    values = [value for value, _n in counts.most_common(_CHOICES)]
    if chosen and chosen not in values:
        values = [chosen, *values[: _CHOICES - 1]]
    choices = [FacetChoice(value, labels.get(value, value), counts[value], value == chosen) for value in values]
    return Facet(name, label, choices if chosen or len(counts) > 1 else [])


def before_and_after(event: Event, caller: Caller) -> tuple[list[Event], list[Event]]:
    """Return what led to an event and what followed: of its trace, else of the first thing that it is about."""
    link = f"trace:{event.trace}" if event.trace else next(iter(event.about), event.actor)
    rows, place = visibility.log_events(caller, timeline.about(link)), timeline.place(event)
    before = timeline.page(rows, after=place, limit=_AROUND, newest_first=True)
    return before[::-1], timeline.page(rows, after=place, limit=_AROUND)
