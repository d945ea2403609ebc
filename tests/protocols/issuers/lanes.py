"""A lane is whatever answers at the issuers' machine endpoints: each gets the same bytes, and says what it answered.

A new lane is one small class with these two methods, named where `test_recorded.py` names its lanes.
"""

# ruff: noqa: ANN401 - what ASGI and Django say is any

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from django.test import Client as Browser
from django.test.client import FakePayload

from entitlements.decisions import own_connection
from entitlements.edge import app, issuer
from entitlements.gateway import http
from entitlements.trusted_issuers import key_sets
from tests import edge

type Headers = tuple[tuple[bytes, bytes], ...]

SOURCE: Final = "127.0.0.1"
"""The address that every request comes from."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stands on the wire; `target` is path and query. Content-Length and Host are among `headers`."""

    method: str
    target: bytes
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer as it stands on the wire."""

    status: int
    headers: Headers
    body: bytes


class Lane(Protocol):
    """Answers requests on the database of the test.

    `commits` says that the lane has connections of its own: what it is to see is committed, and what it did is not
    rolled back. Its world is then made anew for each set of changes (`run.py`).
    """

    commits: bool

    def begin(self) -> None:
        """Forget all that is cached: the world was made, or changed, past the change feed."""

    def answer(self, request: Request) -> Response:
        """Answer one request, which comes from SOURCE."""


class DjangoLane:
    """Today's lane: Django's handler with all its middleware, behind what a WSGI server makes of the bytes."""

    commits = False

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the key sets that were fetched, and the documents, which the middleware keeps."""
        key_sets.forget()
        self.browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        response: Any = self.browser.request(**_environ(request))
        headers = ((name.encode(), value.encode()) for name, value in response.headers.items())
        return Response(response.status_code, tuple(headers), response.content)


def _environ(request: Request) -> dict[str, Any]:
    """Describe a request as WSGI does (PEP 3333): bytes as Latin-1, repeated headers joined by commas."""
    path, _, query = request.target.partition(b"?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "REMOTE_ADDR": SOURCE,
        "wsgi.input": FakePayload(request.body),
    }
    for raw_name, raw_value in request.headers:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


class EdgeLane:
    """The edge's endpoints over the connection of the test, and Django's for what stands on the issuers' own host."""

    commits = False

    def __init__(self) -> None:
        self._django = DjangoLane()

    def begin(self) -> None:
        """Forget what the other lane does; nothing else is cached over the connection of a test."""
        self._django.begin()

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = unquote_to_bytes(request.target.partition(b"?")[0]).decode("latin-1")
        if not issuer.serves(path) or issuer.document(path) is not None:
            return self._django.answer(request)
        headers = [(name.lower(), value) for name, value in request.headers]
        scope: Any = {"method": request.method, "path": path, "headers": headers, "client": (SOURCE, 1)}
        received = app.received(http.Request.of(scope, _unused, _unused), request.body)
        answer = own_connection.run(issuer.answer(edge.OUTSIDE, received))
        return Response(answer.status, answer.headers, answer.body)


async def _unused(*_: Any) -> Any:
    raise AssertionError("the body is there already, and the answer is returned")
