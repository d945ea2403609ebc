"""The audit log as pages show it: a timeline with lanes, each event in words, sealed or not yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit.actions import Action
from audit.export import timeline
from audit.models import Event, Leaf
from entitlements.access import visibility
from entitlements.api import paging
from governance.console import doors

SIZE: Final = 50
_PLACE: Final = 3
_UUID: Final = 36

LANES: Final = {
    "sign-in": _("Sign-in"),
    "request": _("Request"),
    "approval": _("Approval"),
    "token": _("Token"),
    "policy": _("Policy"),
    "call": _("Tool call"),
    "review": _("Review"),
    "admin": _("Admin"),
}
_LANE: Final = {
    "session": "sign-in",
    "authentication": "sign-in",
    "request": "request",
    "approval": "approval",
    "token": "token",
    "api_token": "token",
    "key": "token",
    "evaluation": "policy",
    "attempt": "policy",
    "grant": "policy",
    "revocation": "policy",
    "everything": "policy",
    "call": "call",
    "campaign": "review",
    "review": "review",
    "spot_check": "review",
}
_PAGES: Final = {
    "agent": "/agents/{}/",
    "system": "/systems/{}/",
    "grant": "/grants/{}/",
    "request": "/requests/{}/",
    "revocation": "/stop/receipts/{}/",
    "campaign": "/reviews/{}/",
}


@dataclass(frozen=True, slots=True)
class Link:
    """Something that an event is about: what it is, its name, where to read on."""

    text: str
    address: str
    whole: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event in words. `index` is its place in the sealed log, None until it is sealed."""

    event: Event
    lane: str
    lane_name: Any
    verb: str
    index: int | None
    links: list[Link]
    detail: list[tuple[str, Any]]
    run: int = 1


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
    """Return a page of everything about one thing, narrowed by what the address says."""
    return page(timeline.about(link), request, subject_url=link_to(link).address)


def page(events: QuerySet[Event] | None, request: HttpRequest, *, subject_url: str = "") -> TimelinePage:
    """Return a page of events (None: of all), in the order and the lanes that the address asks for, or newest first."""
    wanted = request.GET
    actions = _actions(wanted.getlist("lane"), wanted.get("action"))
    newest_first, after = wanted.get("order") != "oldest", _after(request)
    if events is None and actions is not None:
        rows = timeline.page_of_actions(actions, after=after, limit=SIZE + 1, newest_first=newest_first)
    else:
        events = Event.objects.all() if events is None else visibility.events(doors.caller(request), events)
        events = events if actions is None else events.filter(action__in=actions)
        rows = timeline.page(events, after=after, limit=SIZE + 1, newest_first=newest_first)
    following = paging.seal(request.path, timeline.place(rows[SIZE - 1])) if rows[SIZE:] else None
    return TimelinePage(collapsed(entries(rows[:SIZE])), following, newest_first, subject_url)


def _actions(wanted: Iterable[str], named: str | None) -> list[str] | None:
    """Return the actions in these lanes, or the one of them that is named; None where nothing is left out."""
    lanes = LANES.keys() & set(wanted)
    if not lanes:
        return [named] if named else None
    return [action.value for action in Action if lane_of(action) in lanes and named in (None, "", action.value)]


def _after(request: HttpRequest) -> timeline.EventPlace | None:
    cursor = request.GET.get(paging.CURSOR)
    if cursor is None:
        return None
    place = paging.unseal(request.path, cursor)
    if len(place) != _PLACE:
        raise paging.BadCursor
    return timeline.EventPlace(datetime.fromisoformat(place[0]), UUID(place[1]), int(place[2]))


def entries(events: Sequence[Event]) -> list[TimelineEntry]:
    """Return events in words, with their places in the log, read in one query."""
    places = _places(events)
    return [
        TimelineEntry(
            event,
            lane := lane_of(event.action),
            LANES[lane],
            event.action.replace(".", " ").replace("_", " "),
            places.get((event.producer, event.sequence)),
            [link_to(link) for link in _further_links(event)],
            list(event.detail.items()),  # a template would read the name `items` of a detail as this method
        )
        for event in events
    ]


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


def lane_of(action: str) -> str:
    """Return the lane of an event."""
    return "sign-in" if action == "person.signed_in" else _LANE.get(action.partition(".")[0], "admin")


def link_to(link: str) -> Link:
    """Return the page of a link "kind:id"."""
    kind, _colon, name = link.partition(":")
    short, whole = (f"{kind}:{name[:8]}…", link) if len(name) == _UUID else (link, "")
    if kind == "tool" and "/" in name:
        system, tool = name.split("/", 1)
        return Link(link, f"/systems/{system}/tools/{tool}/")
    return Link(short, _PAGES[kind].format(name) if kind in _PAGES else f"/audit/?about={link}", whole)


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
    return [link for link in entry.links if not link.text.startswith("tool:")]
