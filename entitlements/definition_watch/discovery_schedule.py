"""Whose turn it is to be asked for its tools: every active system at an interval, less often while it does not answer.

How an asking went is written on the system, and changes no right; what was found is for `seen` to record.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from audit import clock
from entitlements.catalog.models import System

AT_ONCE: Final = 50
"""So many systems are asked in one round; the next round is a minute later."""
_LONGEST: Final = timedelta(days=1)
_MOST_FAILURES: Final = 30_000


def find_discoverable(system_id: int) -> System | None:
    """Return a system that is to be asked: active, an MCP server, or a REST API whose document has an address."""
    return _askable().filter(pk=system_id).first()


@transaction.atomic
def claim_due() -> list[int]:
    """Claim the systems whose turn it is, longest wait first; no other worker asks them before the next turn."""
    now = clock.now()
    due = (
        _askable()
        .filter(Q(ask_again_at=None) | Q(ask_again_at__lte=now))
        .select_for_update(skip_locked=True, of=("self",))
    )
    turns = list(due.order_by(F("ask_again_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)[:AT_ONCE])
    System.objects.filter(pk__in=turns).update(ask_again_at=now + settings.DISCOVERY_EVERY)
    return turns


def record_success(system: System) -> None:
    """Write down that a system answered with its whole list."""
    now = clock.now()
    fields = {"asked_at": now, "failures": 0, "problem": "", "ask_again_at": now + settings.DISCOVERY_EVERY}
    System.objects.filter(pk=system.pk).update(**fields)


def record_failure(system: System, problem: str) -> None:
    """Write down that it did not, and ask later: twice the wait after each failure, up to a day."""
    now = clock.now()
    failures = min(system.failures + 1, _MOST_FAILURES)
    wait = min(settings.DISCOVERY_EVERY * 2 ** min(failures, 16), max(_LONGEST, settings.DISCOVERY_EVERY))
    fields = {"asked_at": now, "failures": failures, "problem": problem[:64], "ask_again_at": now + wait}
    System.objects.filter(pk=system.pk).update(**fields)


def schedule_now(system: System) -> None:
    """Have a system asked in the next round, whatever failed before: it is elsewhere now."""
    System.objects.filter(pk=system.pk).update(ask_again_at=None, failures=0, problem="")


def _askable() -> QuerySet[System]:
    listed = Q(kind__in=[System.Kind.MCP_GATEWAY, System.Kind.STDIO]) & ~Q(upstream_url="")
    fetched = Q(kind=System.Kind.HTTP, rest_api__document_url__gt="")
    return System.objects.filter(listed | fetched, status=System.Status.ACTIVE)
