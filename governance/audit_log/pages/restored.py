"""What the last restore of a backup ended, stopped again, does not know, and left closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import bodies
from audit.actions import Action
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog import systems
from entitlements.catalog.models import System
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import names, sentences
from governance.console import doors

_ENDED: Final[Mapping[str, Any]] = {
    "keys": gettext_lazy("Signing keys"),
    "tokens": gettext_lazy("Tokens"),
    "sessions": gettext_lazy("Sessions"),
    "personal_tokens": gettext_lazy("API tokens of people"),
    "sign_ins": gettext_lazy("Sign-ins"),
}


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop since the backup: what was done, when, and about what."""

    sentence: Any
    at: datetime | None
    about: list[events_queries.Link]


@dataclass(frozen=True, slots=True)
class ClosedSystem:
    """A system that a restore closed and that is not open again, and who was the first of two to restore it."""

    system: System
    first: events_queries.Link | None


@require_safe
@doors.page
def page(request: HttpRequest) -> HttpResponse:
    """Show what came back with the newest restored backup, what is unknown, and which systems two people must open."""
    caller = doors.caller(request)
    event = Event.objects.filter(action=Action.AUDIT_LOG_RESTORED).order_by("-at", "-sequence").first()
    context: dict[str, Any] = {"event": event}
    if event is not None:
        detail = event.detail
        context |= {
            "is_whole": detail.get("is_whole") is True,
            "until": detail.moment("until"),
            "ended": [(label, detail.count(name)) for name, label in _ENDED.items()],
            "applied": detail.count("stops"),
            "applied_stops": _stops(detail, "applied_stops", caller),
            "unknown": detail.count("unknown"),
            "unknown_stops": _stops(detail, "unknown_stops", caller),
            "closed": _closed(event, caller),
        }
    return render(request, "console/audit_log/restored.html", context)


def _stops(detail: bodies.Members, name: str, caller: Caller) -> list[Stop]:
    listed = detail.get(name)
    lines = [bodies.Members(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    known = names.of({link for line in lines for link in line.texts("links")}, caller)
    return [
        Stop(
            sentences.sentence_of(line.text("action")),
            line.moment("at"),
            [events_queries.link_to(link, known) for link in line.texts("links")],
        )
        for line in lines
    ]


def _closed(event: Event, caller: Caller) -> list[ClosedSystem]:
    rows = visibility.systems(caller).filter(slug__in=event.detail.texts("closed"), status=System.Status.DISABLED)
    since = Event.objects.filter(at__gte=event.at).order_by("at", "sequence")
    enabled = {link for each in since.filter(action=Action.SYSTEM_ENABLED) for link in each.about}
    proposed = {link: each.actor for each in since.filter(action=Action.SYSTEM_OPENING_PROPOSED) for link in each.about}
    known = names.of(proposed.values(), caller)
    closed = []
    for system in rows.order_by("slug"):
        if (link := f"system:{system.slug}") in enabled:
            continue  # opened, and stopped by a person since
        waits = link in proposed and not systems.is_closed_by_restore(system)
        closed.append(ClosedSystem(system, events_queries.link_to(proposed[link], known) if waits else None))
    return closed
