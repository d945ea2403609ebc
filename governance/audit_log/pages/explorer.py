"""The audit explorer: the list of events, timelines, traces, and the check of the newest checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from audit.export import timeline
from audit.models import Checkpoint, Event
from audit.seals import seal_check
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.access.visibility import READERS
from entitlements.errors import NotFound
from entitlements.people.role_limits import NOTHING
from entitlements.revocation.api import KINDS
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import names, trace
from governance.console import doors
from governance.console.kit.lists import address, lists
from governance.requests import requests
from governance.search.queries import search as search_queries

from . import event_list

_PAGE: Final = "console/audit_log/explorer.html"
_LONGEST: Final = 300
_BEGINS: Final = "begins"
"""The parameter that says where a page of a waterfall begins."""


@require_safe
@doors.page
def explorer(request: HttpRequest) -> HttpResponseBase:
    """Show the events that the facets leave; who does not read the whole audit log names something of theirs."""
    caller, link = doors.caller(request), request.GET.get(event_list.ABOUT, "").strip()[:_LONGEST]
    if link and ":" not in link:
        if names.is_uuid(link):
            return _named_by_id(caller, link)
        return redirect(f"{reverse('search')}?{urlencode({'q': link})}")
    if (order := request.GET.get("order")) is not None:  # how the address of the order was once written
        return redirect(address.changed(request, order="", sort="at" if order == "oldest" else ""))
    reads_all, reads_some = caller.has(*READERS), caller.reach(*READERS) != NOTHING
    context: dict[str, Any] = {"about": link}
    if reads_all and "verify" in request.GET:
        context["checked"] = seal_check.check()
        if request.headers.get("HX-Target", "").endswith("#checked"):
            return render(request, "console/audit_log/checked.html", context)
    if not link and not reads_some:
        return render(request, _PAGE, context)
    rows = _readable(caller, link) if link else visibility.log_events(caller, Event.objects.all())
    layout = event_list.LAYOUT
    if reads_all and not link:
        layout = replace(layout, each=event_list.each_action)
    if not (request.GET.get(address.EXPORT) or "HX-Request" in request.headers):
        context |= {
            "checkpoint": Checkpoint.objects.order_by("-size").first() if reads_all else None,
            "subject": events_queries.link_to(link, names.of([link], caller)) if link else None,
            **_story(link, rows, caller, request.GET.get(_BEGINS, "")),
        }
    return lists.show(request, layout, rows.order_by(), _PAGE, context)


def _story(link: str, rows: QuerySet[Event], caller: Caller, begins: str) -> dict[str, Any]:
    """Return a page of a trace as a waterfall; of one event, what led to it and what followed."""
    kind = link.partition(":")[0]
    if kind == "trace":
        return {"waterfall": trace.waterfall(rows, caller, begins)}
    if kind == "event" and (event := rows.first()):
        before, after = trace.before_and_after(event, caller)
        (entry,) = events_queries.entries([event], caller)
        sides = {"before": events_queries.entries(before, caller), "after": events_queries.entries(after, caller)}
        return {"entry": entry, **sides}
    return {}


def _named_by_id(caller: Caller, text: str) -> HttpResponse:
    hits = search_queries.find(caller, text)
    return redirect(hits[0].address if hits else f"{reverse('audit')}?about=trace:{UUID(text).hex}")


def _readable(caller: Caller, link: str) -> QuerySet[Event]:
    """Return the events about a thing: for readers of the audit log within their limits, for others about their own.

    Raises NotFound.
    """
    kind, _colon, key = link.partition(":")
    events = trace.event(link) if kind == "event" else timeline.about(link)
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
