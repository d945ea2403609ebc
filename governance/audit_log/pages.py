"""The audit explorer: facets, timelines, traces, exports, and the check of the newest checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from audit import log
from audit.actions import Action
from audit.export import timeline
from audit.models import Checkpoint, Event
from audit.seals import seal_check
from entitlements import spreadsheets
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.access.visibility import READERS
from entitlements.api.record import shown
from entitlements.errors import Malformed, NotFound
from entitlements.people.role_limits import NOTHING
from entitlements.revocation.api import KINDS
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import explorer as explorer_queries
from governance.audit_log.queries import filters, names, sentences, trace
from governance.console import doors
from governance.console.kit import combobox
from governance.requests import requests
from governance.search.queries import search as search_queries

_FORMS: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
_COLUMNS: Final = (
    *("at", "action", "outcome", "code", "actor", "on_behalf_of", "reason"),
    *("links", "trace", "request_id", "uuid", "index"),
)


@require_safe
@doors.page
def explorer(request: HttpRequest) -> HttpResponseBase:
    """Show the events that the facets leave; who does not read the whole audit log names something of theirs."""
    caller = doors.caller(request)
    kinds = {"actor": "person", "agent": "agent", "system": "system"}
    keys = {name: combobox.key_of(caller, kind, request.GET, name) for name, kind in kinds.items()}
    asked = filters.read(request, keys)
    link, reads_all, reads_some = asked.about, caller.has(*READERS), caller.reach(*READERS) != NOTHING
    if link and ":" not in link:
        if names.is_uuid(link):
            return _named_by_id(caller, link)
        return redirect(f"{reverse('search')}?{urlencode({'q': link})}")
    if link:
        events = _readable(caller, link)
    else:
        events = Event.objects.all() if reads_all else visibility.log_events(caller, Event.objects.all())
    context: dict[str, Any] = {"filters": asked, "may_read_all": reads_some, "outcomes": filters.OUTCOMES}
    context |= {"named": _named(asked, caller)}
    if reads_all and "verify" in request.GET:
        context["checked"] = seal_check.check()
    if request.headers.get("HX-Request") and "verify" in request.GET:
        return render(request, "console/audit_log/checked.html", context)
    if not link and not reads_some:
        return render(request, "console/audit_log/explorer.html", context)
    if form := request.GET.get("export"):
        return _export(caller, asked, events, form)
    found = explorer_queries.find(asked, events, events_queries.after(request), is_whole=reads_all and not link)
    context |= {
        "timeline": events_queries.page(found, asked, request),
        "facets": explorer_queries.facet_counts(asked, found.counted, _names(found.counted, caller)),
        "counted": len(found.counted),
        "more": found.more or found.cut,
        "checkpoint": Checkpoint.objects.order_by("-size").first() if reads_all else None,
        "subject": events_queries.link_to(link, names.of([link], caller)) if link else None,
        "actions": [(action.value, sentences.sentence_of(action.value)) for action in Action],
    }
    return render(request, "console/audit_log/explorer.html", context | _story(asked, found, events, caller))


def _named(asked: filters.Filters, caller: Caller) -> dict[str, str]:
    """Return the texts of the fields that name an actor, an agent and a system: display names of what is seen."""
    kind, _colon, login = asked.actor.partition(":")
    keys = {"agent": asked.agent, "system": asked.system}
    texts = {name: combobox.names(caller, name, [key] if key else []) for name, key in keys.items()}
    actor = combobox.names(caller, "person", [login]) if kind == "person" else asked.actor
    return {**texts, "actor": actor}


def _names(events: Sequence[Event], caller: Caller) -> dict[str, str]:
    kinds = ("person:", "agent:", "system:", "client:")
    mentioned = {link for event in events for link in (*event.links, event.actor) if link.startswith(kinds)}
    return names.of(mentioned, caller)


def _story(
    asked: filters.Filters, found: explorer_queries.Found, events: QuerySet[Event], caller: Caller
) -> dict[str, Any]:
    """Return a trace as a waterfall; of one event, what led to it and what followed."""
    kind = asked.about.partition(":")[0]
    if kind == "trace" and not asked.narrow:
        first = explorer_queries.find(replace(asked, newest_first=False), events, None)
        return {"steps": trace.steps(events_queries.entries(first.counted[: trace.MOST], caller))}
    if kind == "event" and found.events:
        before, after = explorer_queries.before_and_after(found.events[0], caller)
        return {"before": events_queries.entries(before, caller), "after": events_queries.entries(after, caller)}
    return {}


def _export(caller: Caller, asked: filters.Filters, events: QuerySet[Event], form: str) -> StreamingHttpResponse:
    """Record that the caller takes a copy of what the filters leave, then stream it. Raises Malformed."""
    if form not in _FORMS:
        raise Malformed
    with transaction.atomic():
        log.record(Action.AUDIT_LOG_EXPORTED, by=caller.principal, detail={"filters": asked.described(), "form": form})
    answer = StreamingHttpResponse(_lines(asked, events, form), content_type=_FORMS[form])
    answer["Content-Disposition"] = f'attachment; filename="audit-log.{form}"'
    return answer


def _lines(asked: filters.Filters, events: QuerySet[Event], form: str) -> Iterator[str]:
    if form == "csv":
        yield spreadsheets.line(_COLUMNS)
    for part in explorer_queries.everything(asked, events):
        for row in shown(part):
            yield _csv(row) if form == "csv" else json.dumps(row, ensure_ascii=False) + "\n"


def _csv(row: dict[str, Any]) -> str:
    values = (row.get(name) for name in _COLUMNS)
    return spreadsheets.line(" ".join(value) if isinstance(value, list) else value for value in values)


def _named_by_id(caller: Caller, text: str) -> HttpResponse:
    hits = search_queries.find(caller, text)
    return redirect(hits[0].address if hits else f"{reverse('audit')}?about=trace:{UUID(text).hex}")


def _readable(caller: Caller, link: str) -> QuerySet[Event]:
    """Return the events about a thing: for readers of the audit log within their limits, for others about their own.

    Raises NotFound.
    """
    kind, _colon, key = link.partition(":")
    events = explorer_queries.event(link) if kind == "event" else timeline.about(link)
    if caller.has(*READERS):
        return events
    if link == str(caller.principal):
        return visibility.events(caller, events)
    if kind not in KINDS and kind != "request" and caller.reach(*READERS) != NOTHING:
        return visibility.log_events(caller, events)
    _check_seen(caller, kind, key)
    return visibility.events(caller, events)


def _check_seen(caller: Caller, kind: str, key: str) -> None:
    """Check that the caller sees what a timeline is about. Raises NotFound."""
    if kind == "request" and names.is_uuid(key) and caller.human:
        if requests.visible_to(caller.human).filter(pk=key).exists():
            return
        raise NotFound
    known = KINDS.get(kind)
    if known is None or (known.is_uuid and not names.is_uuid(key)):
        raise NotFound
    where: dict[str, object] = {known.lookup: key}
    if kind == "tool":
        system, _slash, name = key.partition("/")
        where = {"system__slug": system, "name": name}
    thing = doors.find(known.rows(caller), **where)
    if kind in ("system", "tool") and not role_reach.reaches(caller, thing):
        raise NotFound
