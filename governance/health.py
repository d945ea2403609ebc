"""Whether the web process lives, and whether it can serve: for load balancers and supervisors, without sign-in."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from entitlements import sealing, signing
from entitlements.errors import DomainError

_seen: set[str] = set()
"""What was found once and cannot go away while this process lives."""


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer as long as the process does."""
    del request
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Name what is missing to serve; 503 while anything is. The queue is not needed to serve."""
    del request
    lacks = missing()
    status = HTTPStatus.SERVICE_UNAVAILABLE if lacks else HTTPStatus.OK
    answer = JsonResponse({"ready": not lacks, "missing": lacks}, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def refuse_lost_keys() -> None:
    """End the process, with a sentence, when the key-encryption key does not open what the database holds.

    A database that does not answer says nothing about the key: `/readyz` tells of it.
    """
    try:
        signing.check_keys()
    except sealing.SealBroken as broken:
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
    """Name what this process lacks: the `database`, `migrations` not applied, `keys` that open under our key."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if "migrations" not in _seen:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return ["migrations"]
            _seen.add("migrations")
        if "keys" not in _seen:
            signing.check_keys()
            _seen.add("keys")
    except Error:
        return ["database"]
    except DomainError:
        return ["keys"]
    return []
