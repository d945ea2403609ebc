"""Error pages, with the code that the audit log and the API use."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from audit import context
from entitlements import ratelimits
from entitlements.api import problems
from entitlements.errors import DomainError, Forbidden, Malformed, NotFound


class FormFromElsewhere(DomainError):
    """The form was not sent from a page of this console, or the page is too old. Reload the page and send it again."""

    code, status = "csrf_failed", HTTPStatus.FORBIDDEN


_KNOWN: Final = (NotFound, Forbidden, Malformed, problems.Unexpected, FormFromElsewhere)
_MACHINES: Final = ("/api/", "/idp/", "/as/", "/.well-known/")


@login_not_required
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer for an address that leads nowhere."""
    del exception
    return _answer(request, "404", "not_found", HTTPStatus.NOT_FOUND)


@login_not_required
def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer for what the person may not do."""
    del exception
    return _answer(request, "403", "forbidden", HTTPStatus.FORBIDDEN)


@login_not_required
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer for a request that cannot be understood."""
    del exception
    return _answer(request, "400", "malformed", HTTPStatus.BAD_REQUEST)


@login_not_required
def failed(request: HttpRequest) -> HttpResponse:
    """Answer for our own failure, or for what is too much at the moment; the page reads nothing from the database."""
    error = sys.exception()
    if isinstance(error, ratelimits.TooMany):
        response = _answer(request, "refused", error.code, error.status, problem=error)
        response["Retry-After"] = str(error.wait)
        return response
    return _answer(request, "500", "internal_error", HTTPStatus.INTERNAL_SERVER_ERROR)


@login_not_required
def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer for a form that did not come from our own page, or from one that is too old."""
    del reason
    return _answer(request, "csrf", "csrf_failed", HTTPStatus.FORBIDDEN)


def _answer(
    request: HttpRequest, name: str, code: str, status: HTTPStatus, problem: DomainError | None = None
) -> HttpResponse:
    values = {"code": code, "request_id": context.current().request_id, "problem": problem, "back": "/"}
    if request.path.startswith(_MACHINES):
        refusal = problem or next(known() for known in _KNOWN if known.code == code)
        return JsonResponse(problems.document(refusal, status), status=status, content_type=problems.MEDIA_TYPE)
    return render(request, f"console/errors/{name}.html", values, status=status)
