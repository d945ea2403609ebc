"""The audit explorer, from any identifier; and the search behind the command bar."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from audit.export import timeline
from audit.models import Checkpoint, Event
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.access.visibility import READERS
from entitlements.errors import NotFound
from entitlements.people.role_limits import NOTHING
from entitlements.revocation.api import KINDS
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import search as search_queries
from governance.console import doors
from governance.console.kit import combobox
from governance.requests import requests


@require_safe
@doors.page
def explorer(request: HttpRequest) -> HttpResponse:
    """Show the timeline of one thing; readers of the audit log also see all of it."""
    caller = doors.caller(request)
    link = request.GET.get("about", "").strip()[:300]
    reads_all, reads_some = caller.has(*READERS), caller.reach(*READERS) != NOTHING
    context: dict[str, Any] = {"about": link, "may_read_all": reads_some, "timeline": None}
    context["checkpoint"] = Checkpoint.objects.order_by("-size").first() if reads_all else None
    if link and ":" not in link:
        return redirect(f"/search/?{urlencode({'q': link})}") if not _is_uuid(link) else _named_by_id(caller, link)
    if link:
        about = events_queries.link_to(link).address
        context["timeline"] = events_queries.page(_readable(caller, link), request, subject_url=about)
    elif reads_some:
        events = None if reads_all else visibility.log_events(caller, Event.objects.all())
        context["timeline"] = events_queries.page(events, request)
    return render(request, "console/audit_log/audit.html", context)


def _named_by_id(caller: Caller, text: str) -> HttpResponse:
    hits = search_queries.find(caller, text)
    return redirect(hits[0].address if hits else f"/audit/?about=trace:{UUID(text).hex}")


def _event(link: str) -> QuerySet[Event]:
    uuid = link.partition(":")[2]
    return Event.objects.filter(uuid=uuid) if _is_uuid(uuid) else Event.objects.none()


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _readable(caller: Caller, link: str) -> QuerySet[Event]:
    """Return the events about a thing: for readers of the audit log within their limits, for others about their own.

    Raises NotFound.
    """
    kind, _colon, key = link.partition(":")
    events = _event(link) if kind == "event" else timeline.about(link)
    if caller.has(*READERS) or link == str(caller.principal):
        return events
    if kind not in KINDS and kind != "request" and caller.reach(*READERS) != NOTHING:
        return visibility.log_events(caller, events)
    _check_seen(caller, kind, key)
    return events


def _check_seen(caller: Caller, kind: str, key: str) -> None:
    """Check that the caller sees what a timeline is about. Raises NotFound."""
    if kind == "request" and _is_uuid(key) and caller.human:
        if requests.visible_to(caller.human).filter(pk=key).exists():
            return
        raise NotFound
    known = KINDS.get(kind)
    if known is None or (known.is_uuid and not _is_uuid(key)):
        raise NotFound
    where: dict[str, object] = {known.lookup: key}
    if kind == "tool":
        system, _slash, name = key.partition("/")
        where = {"system__slug": system, "name": name}
    thing = doors.find(known.rows(caller), **where)
    if kind in ("system", "tool") and not role_reach.reaches(caller, thing):
        raise NotFound


@require_safe
@doors.page
def search(request: HttpRequest) -> HttpResponse:
    """Find by name or identifier: a page of its own, and the list of the command bar."""
    text = request.GET.get("q", "")
    hits = search_queries.find(doors.caller(request), text)
    context = {"q": text, "hits": hits, "title": _("Search")}
    if request.headers.get("HX-Request"):
        return render(request, "console/audit_log/search.html#hits", context)
    return render(request, "console/audit_log/search.html", context)


@require_safe
@doors.page
def options(request: HttpRequest) -> HttpResponse:
    """Return what a combobox offers for a text: of one kind, and of what the person sees."""
    kind = request.GET.get("kind", "")
    if kind not in combobox.REFERENCES:
        raise NotFound
    offered = combobox.options(doors.caller(request), kind, request.GET.get("q", ""))
    return JsonResponse({"options": [asdict(each) for each in offered]})
