"""Machine requests that reach the issuers' own host: handed to the edge as they are, and its answer handed back.

Clients take token endpoints on the issuer's own origin alone (the official MCP client does), so that is where they are
advertised. A proxy in front sends them straight to the edge (docs/operate/install.md); where none does, this does.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from audit import client_address
from entitlements import addresses
from entitlements.codes import Code
from entitlements.edge import door, issuer, registration
from entitlements.gateway.http import Answer
from entitlements.node.refusals import Closed

SECONDS: Final = 10.0
"""How long the edge may take: longer than it waits for anything itself."""
_SENT_ON: Final = frozenset(
    {"accept", "authorization", "content-type", "dpop", "origin", "traceparent", "tracestate", "x-request-id"}
    | {"access-control-request-method", "access-control-request-headers"}
)
_OF_THIS_CONNECTION: Final = frozenset({"connection", "content-length", "date", "keep-alive", "server"})


@csrf_exempt
@login_not_required
def forward(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer as the edge answers; 503 when it does not. Nothing is sent twice."""
    if len(request.body) > issuer.LARGEST_BODY:
        return response(door.json({"error": "invalid_request", "code": "malformed_form"}, 413))
    try:
        return response(_ask(request))
    except (OSError, http.client.HTTPException) as why:
        closed = Closed(Code.RECORD_UNAVAILABLE)
        closed.__cause__ = why
        return response(door.unavailable(closed))


@csrf_exempt
@login_not_required
def register(request: HttpRequest, **_: str) -> HttpResponse:
    """Do as `forward` while clients may register themselves; else there is nothing at the address."""
    if not registration.is_on():
        return response(door.json({"error": "not_found"}, HTTPStatus.NOT_FOUND))
    return forward(request)


def response(answer: Answer) -> HttpResponse:
    """Return an answer of the edge as one of Django's."""
    headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in answer.headers}
    made = HttpResponse(answer.body, status=answer.status, headers=headers)
    if "Content-Type" not in headers:
        del made["Content-Type"]  # which Django gives to whatever has none
    return made


def _ask(request: HttpRequest) -> Answer:
    connection = _connection()
    try:
        connection.request(str(request.method), request.path, request.body, dict(_headers(request)))
        answered = connection.getresponse()
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answered.getheaders()
            if name.lower() not in _OF_THIS_CONNECTION
        ]
        return Answer(answered.status, answered.read(), tuple(headers))
    finally:
        connection.close()


def _headers(request: HttpRequest) -> Iterator[tuple[str, str]]:
    for name, value in request.headers.items():
        if name.lower() in _SENT_ON:
            yield name, value
    yield client_address.HEADER, str(request.META.get("REMOTE_ADDR", ""))


def _connection() -> http.client.HTTPConnection:
    where = addresses.parts(settings.RELAY_URL)
    host, port = (where.hostname or "", where.port) if where else ("", None)
    if where is not None and where.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=SECONDS)
