"""Whether the web process lives, and whether it can serve: for load balancers and supervisors, without sign-in."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer as long as the process does."""
    del request
    return _said("ok")


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 503 while the database does not."""
    del request
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return _said("no database", HTTPStatus.SERVICE_UNAVAILABLE)
    return _said("ok")


def _said(word: str, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(f"{word}\n", status=status, content_type="text/plain", headers=headers)
