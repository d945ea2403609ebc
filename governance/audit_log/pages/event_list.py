"""The list of the audit log: its columns, facets, and the files that are taken of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from audit import log
from audit.actions import Action
from audit.models import Event
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import filters
from governance.audit_log.queries.events import Link, TimelineEntry
from governance.console import doors, tags
from governance.console.kit.lists import cells
from governance.console.kit.lists.address import EXPORT, Asked
from governance.console.kit.lists.keyset import Each
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout

ABOUT: Final = "about"
WINDOW: Final = 20_000
"""How many events are searched at once for what no index finds."""


def _link(link: Link | None) -> SafeString:
    if link is None:
        return cells.nothing("-")
    return format_html('<a class="main" href="{}" title="{}">{}</a>', link.address, link.whole, tags.foreign(link.text))


def _about(kind: str, key: str) -> SafeString:
    """Lead to the timeline of an id."""
    if not key:
        return cells.nothing("-")
    link = events_queries.link_to(f"{kind}:{key}")
    return format_html('<a class="main" href="{}"><code>{}</code></a>', link.address, key)


def _sealed(entry: TimelineEntry) -> SafeString:
    if entry.index is None:
        return cells.nothing(gettext_lazy("Not sealed yet"))
    return format_html("{} {}", tags.shape("check"), tags.figure(entry.index))


def _detail(entry: TimelineEntry) -> SafeString:
    said = json.dumps(entry.event.detail, ensure_ascii=False) if entry.event.detail else "-"
    return format_html("<code>{}</code>", tags.foreign(said))


def _tickets(entry: TimelineEntry) -> str:
    return " ".join(link[7:] for link in entry.event.links if link.startswith("ticket:"))


def _actions(request: HttpRequest) -> Sequence[tuple[str, str]]:
    """Return the events of the chosen parts, or all."""
    named = filters.actions_of(filters.LANES.keys() & {*request.GET.getlist("lane")} or filters.LANES)
    return [(action, action) for action in sorted(named)]


def each_action(chosen: Mapping[str, Sequence[str]]) -> Each | None:
    """Return the events that a whole log is narrowed to, where times alone narrow it besides."""
    if not chosen.keys() & {"lane", "action"} or chosen.keys() - {"lane", "action", "from", "to"}:
        return None
    named = filters.actions_of(chosen["lane"]) if "lane" in chosen else list(chosen["action"])
    return Each("action", [action for action in named if action in chosen.get("action", [action])])


def _described(request: HttpRequest, rows: Sequence[Event]) -> list[TimelineEntry]:
    """Return events in sentences; a file has links, and no names."""
    return events_queries.entries(rows, doors.caller(request), named=not request.GET.get(EXPORT))


@transaction.atomic
def _record(request: HttpRequest, asked: Asked[Event, TimelineEntry]) -> None:
    """Record that the caller takes a copy of what the filters leave."""
    many = {facet.name for facet in asked.layout.facets if facet.many}
    said: dict[str, Any] = {name: [*values] if name in many else values[0] for name, values in asked.chosen.items()}
    said |= {"q": asked.text} if asked.text else {}
    said |= {ABOUT: request.GET[ABOUT]} if request.GET.get(ABOUT) else {}
    detail = {"filters": said, "form": asked.export}
    log.record(Action.AUDIT_LOG_EXPORTED, by=doors.caller(request).principal, detail=detail)


LAYOUT: Final[Layout[Event, TimelineEntry]] = Layout(
    name="audit-log",
    label=gettext_lazy("Audit log"),
    columns=(
        Column(
            "at",
            gettext_lazy("Time"),
            "event__at",
            sorts="at",
            cell=lambda entry: tags.moment(entry.event.at, exact=True),
            greatest_first=True,
        ),
        Column("action", gettext_lazy("Event"), "event__action", cell="console/audit_log/event_cell.html", main=True),
        Column(
            "on_behalf_of",
            gettext_lazy("On behalf of"),
            "event__on_behalf_of",
            cell=lambda entry: _link(entry.behalf),
        ),
        Column("links", gettext_lazy("Linked to"), "event__about", cell="console/audit_log/about_cell.html"),
        Column("outcome", gettext_lazy("Outcome"), "event__outcome", cell=cells.status("event__outcome")),
        Column("code", gettext_lazy("Code"), "event__code", cell=cells.code("event__code")),
        Column("actor", gettext_lazy("Actor"), "event__actor", cell=lambda entry: _link(entry.actor), usual=False),
        Column("reason", gettext_lazy("Reason"), "event__reason", usual=False),
        Column("part", gettext_lazy("Part"), "lane", cell=lambda entry: cells.plain(str(entry.lane_name)), usual=False),
        Column("ticket", gettext_lazy("Ticket"), _tickets, usual=False),
        Column(
            "trace",
            gettext_lazy("Trace"),
            "event__trace",
            cell=lambda entry: _about("trace", entry.event.trace),
            usual=False,
        ),
        Column("request_id", gettext_lazy("Request id"), lambda entry: entry.event.parsed["request_id"], usual=False),
        Column("source", gettext_lazy("Source address"), "event__source", usual=False),
        Column(
            "uuid",
            gettext_lazy("Id"),
            "event__uuid",
            cell=lambda entry: _about("event", str(entry.event.uuid)),
            usual=False,
        ),
        Column("index", gettext_lazy("Sealed as"), "index", cell=_sealed, number=True),
        Column("detail", gettext_lazy("Details"), "event__detail", cell=_detail, usual=False),
    ),
    order="-at",
    unique="sequence",
    between=("producer",),
    key="uuid",
    facets=(
        Facet(
            "lane",
            gettext_lazy("Part"),
            choices=tuple(
                Choice(lane, label, Q(action__in=filters.actions_of([lane]))) for lane, label in filters.LANES.items()
            ),
            many=True,
        ),
        Facet(
            "outcome",
            gettext_lazy("Outcome"),
            choices=tuple(Choice(each, label, filters.with_outcome(each)) for each, label in filters.OUTCOMES.items()),
            sought=True,
        ),
        Facet("action", gettext_lazy("Event"), "action", choices=_actions, guessed=False),
        Facet(
            "actor",
            gettext_lazy("Actor"),
            reference="person",
            narrow=filters.acted,
            sought=True,
            finds=filters.named,
        ),
        Facet("agent", gettext_lazy("Agent"), reference="agent", narrow=filters.at_agent),
        Facet("system", gettext_lazy("System"), reference="system", narrow=filters.at_system),
        Facet("code", gettext_lazy("Code"), narrow=filters.with_code, sought=True),
        Facet(
            "ticket",
            gettext_lazy("Ticket"),
            choices=(
                Choice("any", gettext_lazy("With a ticket"), filters.TICKETED),
                Choice("none", gettext_lazy("Without a ticket"), ~filters.TICKETED),
            ),
            sought=True,
        ),
        Facet("from", gettext_lazy("From"), narrow=filters.since, kind="date"),
        Facet("to", gettext_lazy("To"), narrow=filters.until, kind="date"),
    ),
    search=filters.with_text,
    search_label=gettext_lazy("Words in reasons and details"),
    sought=True,
    window=WINDOW,
    describe=_described,
    complete=True,
    kept=(ABOUT,),
    exported=_record,
    empty=gettext_lazy("There is no event yet."),
)
"""Of an outcome, an event's name, an actor, a code and a ticket the planner knows no number: with more rows than are
counted they have none. That of a part is estimated from the statistics of the events' names."""
