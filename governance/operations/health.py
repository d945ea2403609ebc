"""Whether the web process can serve: for load balancers, without sign-in. `governance/front.py` says that it lives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.errors import DomainError
from entitlements.keys import signing
from entitlements.secrets import seal
from governance.database import sql_files

MEASURE_EVERY: Final = 30.0
MEASURE_AGAIN: Final = 1.0
"""Seconds between two measurements of the clock, while it is right and while it is not."""
READY: Final = "/readyz"
CLOCK: Final = "This machine's clock is more than a second from the database's. Nothing was changed; set the clock."

_seen: set[str] = set()
"""Checks that passed once and stay true while this process lives."""


def knows_the_time() -> bool:
    """Return whether this process knows the time; measures its offset to the database's clock now and then."""
    if not clock.is_strict():
        return True
    if clock.offset_age() > (MEASURE_EVERY if clock.is_known() else MEASURE_AGAIN):
        measure_clock()
    return clock.is_known()


def measure_clock() -> None:
    """Take the database's clock as the truth; one that does not answer changes nothing."""
    with contextlib.suppress(Error), connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        clock.set_offset(cursor.fetchone()[0])


class ClockMiddleware:
    """Middleware: where the time is not known nothing is decided, issued or shown; every deadline depends on it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 503 while this machine's clock is over a second from the database's, or the difference is unknown."""
        if request.path == READY or knows_the_time():
            return self.get_response(request)
        body = {"error": "temporarily_unavailable", "code": clock.ClockUnknown.code, "detail": CLOCK}
        return JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return what is missing to serve; 503 while anything is. The queue is not needed to serve."""
    del request
    return _ready(missing())


def without_database(authorization: str) -> HttpResponse:
    """Return what is missing while the database does not answer."""
    del authorization
    return _ready(["database"])


def _ready(lacks: list[str]) -> HttpResponse:
    status = HTTPStatus.SERVICE_UNAVAILABLE if lacks else HTTPStatus.OK
    answer = JsonResponse({"ready": not lacks, "missing": lacks}, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def refuse_lost_keys() -> None:
    """End the process, with a sentence, when the key-encryption key does not open what the database holds.

    A database that does not answer says nothing about the key: `/readyz` reports it.
    """
    try:
        signing.check_keys()
    except seal.SealBroken as broken:
        raise SystemExit(
            f"{broken.message} Set KEY_ENCRYPTION_KEY to the key that this database was used with, "
            "or KEY_ENCRYPTION_KEY_PREVIOUS while you replace it. Without that key signing keys, upstream credentials, "
            "second factors and personal data cannot be read: docs/operate/keys.md."
        ) from broken
    except Error:
        pass
    finally:
        connection.close()


def missing() -> list[str]:
    """Return what this process lacks: `database`, applied `migrations` and `sql`, `keys` that open, `clock`."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if "migrations" not in _seen:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                return ["migrations"]
            _seen.add("migrations")
        if "sql" not in _seen:
            if not sql_files.are_applied(connection):
                return ["sql"]
            _seen.add("sql")
        if "keys" not in _seen:
            signing.check_keys()
            _seen.add("keys")
        if not knows_the_time():
            return ["clock"]
    except Error:
        return ["database"]
    except DomainError:
        return ["keys"]
    return []
