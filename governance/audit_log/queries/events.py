"""The audit log as pages show it: a timeline with lanes, each event in a sentence with names, sealed or not yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from audit.export import timeline
from audit.models import Event, Leaf
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import paging
from governance.console import doors

from . import names, sentences
from .filters import LANES, actions_of, is_decision, lane_of

_SIZE: Final = 50
_PLACE: Final = 3
_UUID: Final = 36
_PAGES: Final = {
    "agent": "agent-page",
    "system": "system-page",
    "tool": "tool-page",
    "grant": "grant-page",
    "request": "request-page",
    "revocation": "receipt",
    "campaign": "review-page",
    "emergency": "emergency-page",
    "proposal": "proposal-page",
}


@dataclass(frozen=True, slots=True)
class Link:
    """Something that an event is about: what it is, its name, where to read on."""

    text: str
    address: str
    whole: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event in a sentence. `index` is its place in the sealed log, None until it is sealed."""

    event: Event
    lane: str
    lane_name: Any
    actor: Link
    behalf: Link | None
    verb: Any
    index: int | None
    links: list[Link]
    detail: list[tuple[str, str]]
    run: int = 1

    @property
    def is_decision(self) -> bool:
        """Whether it can be explained why the event says what it does."""
        return is_decision(self.event)

    @property
    def address(self) -> str:
        """The page of the event; of a denial, the one that says why."""
        if self.is_decision and self.event.code:
            return f"{reverse('why')}?evaluation={self.event.uuid}"
        return f"{reverse('audit')}?about=event:{self.event.uuid}"


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """A page of the timeline, and where the next begins."""

    events: list[TimelineEntry]
    next: str | None
    newest_first: bool
    subject_url: str
    """The address of what the page is about, which its events need not name again."""
    lanes: dict[str, Any] = field(default_factory=lambda: LANES)


def about(link: str, request: HttpRequest) -> TimelinePage:
    """Return a page of everything about one thing, of one lane if the address names one. Raises BadCursor."""
    caller, newest_first = doors.caller(request), request.GET.get("order") != "oldest"
    events = visibility.events(caller, timeline.about(link))
    if (lane := request.GET.get("lane", "")) in LANES:
        events = events.filter(action__in=actions_of([lane]))
    found = timeline.page(events, after=_after(request), limit=_SIZE + 1, newest_first=newest_first)
    following = paging.seal(request.path, timeline.place(found[_SIZE - 1])) if found[_SIZE:] else None
    rows = collapsed(entries(found[:_SIZE], caller))
    return TimelinePage(rows, following, newest_first, link_to(link).address)


def _after(request: HttpRequest) -> timeline.EventPlace | None:
    """Return where the page begins that an address asks for. Raises BadCursor."""
    cursor = request.GET.get(paging.CURSOR)
    return None if cursor is None else unsealed(cursor, request.path)


def unsealed(cursor: str, of: str) -> timeline.EventPlace:
    """Return the place that a cursor of this list names. Raises BadCursor."""
    place = paging.unseal(of, cursor)
    if len(place) != _PLACE:
        raise paging.BadCursor
    return timeline.EventPlace(datetime.fromisoformat(place[0]), UUID(place[1]), int(place[2]))


def entries(events: Sequence[Event], caller: Caller, *, named: bool = True) -> list[TimelineEntry]:
    """Return events in sentences, with their places in the log, read in one query, and the names of their things."""
    places = _places(events)
    mentioned = {link for event in events for link in (*event.about, event.actor, event.on_behalf_of) if link}
    known = names.of(mentioned, caller) if named else {}
    return [
        TimelineEntry(
            event,
            lane := lane_of(event.action),
            LANES[lane],
            link_to(event.actor, known),
            link_to(event.on_behalf_of, known) if event.on_behalf_of else None,
            sentences.sentence_of(event.action),
            places.get((event.producer, event.sequence)),
            [link_to(link, known) for link in _further_links(event)],
            [(name, _plain(value)) for name, value in event.detail.items()],
        )
        for event in events
    ]


def _plain(value: object) -> str:
    """Write a text as it is, texts with commas, nothing as a dash, and other values as JSON."""
    if value in ([], {}):
        return "-"
    texts = value if isinstance(value, list) else [value]
    is_text = all(isinstance(text, str) for text in texts)
    return ", ".join(map(str, texts)) if is_text else json.dumps(value, ensure_ascii=False)


def _further_links(event: Event) -> list[str]:
    """Leave out links that the line shows already: the actor, for whom, and the system of a named tool."""
    known = {event.actor, event.on_behalf_of}
    known |= {f"system:{link[5:].partition('/')[0]}" for link in event.about if link.startswith("tool:")}
    return [link for link in event.about if link not in known]


def _places(events: Sequence[Event]) -> dict[tuple[UUID, int], int]:
    sealed = Q(pk=None)
    for producer in {event.producer for event in events}:
        sealed |= Q(
            producer=producer,
            sequence__in=[candidate.sequence for candidate in events if candidate.producer == producer],
        )
    return {(leaf.producer, leaf.sequence): leaf.index for leaf in Leaf.objects.filter(sealed)}


def link_to(link: str, known: Mapping[str, str] | None = None) -> Link:
    """Return the page of a link "kind:id", by the name that is known of it."""
    kind, _colon, name = link.partition(":")
    short, whole = (f"{kind}:{name[:8]}…", link) if len(name) == _UUID else (link, "")
    text = (known or {}).get(link)
    keys = name.split("/", 1) if kind == "tool" else [name]
    if len(keys) > 1:
        text, whole = keys[1], link
    try:
        address = reverse(_PAGES[kind], args=keys) if kind in _PAGES else ""
    except NoReverseMatch:  # an id of an old or foreign form
        address = ""
    return Link(text or short, address or f"{reverse('audit')}?about={quote(link)}", link if text else whole)


def collapsed(rows: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Fold runs of allowed calls that differ only in time and tool into one line that says how many."""
    folded: list[TimelineEntry] = []
    for row in rows:
        last = folded[-1] if folded else None
        if last is not None and _same_run(last, row):
            links = [*last.links, *(link for link in row.links if link not in last.links)]
            folded[-1] = replace(last, run=last.run + 1, links=links)
        else:
            folded.append(row)
    return folded


def _same_run(first: TimelineEntry, second: TimelineEntry) -> bool:
    foldable = first.event.action in ("call.allowed", "call.finished") and first.event.action == second.event.action
    return foldable and first.event.actor == second.event.actor and _without_tools(first) == _without_tools(second)


def _without_tools(entry: TimelineEntry) -> list[Link]:
    return [link for link in entry.links if not link.whole.startswith("tool:")]
