"""Reads a request from its connection: its environment for WSGI, and its body in time and of a size."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from entitlements.errors import DomainError

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Environ = dict[str, Any]


class Take(Protocol):
    """Takes so many bytes of a caller's share, what is there already beyond it. Raises Busy, TooManyAtOnce."""

    def __call__(self, count: int, *, beyond: bool = False) -> None: ...  # noqa: D102 - as the class says


class BodyTooLate(DomainError):
    """The body did not arrive in time. Send the request again over a faster connection, or send less at once."""

    code, status = "body_too_late", HTTPStatus.REQUEST_TIMEOUT


class BodyTooLarge(DomainError):
    """The body is larger than this server accepts. Send less at once; an OpenAPI document may have 16 MiB."""

    code, status = "body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Gone(Exception):
    """The client went away before its request was whole."""


def environment(scope: Message) -> Environ:
    """Return the environment of PEP 3333 for an ASGI scope, without its body."""
    host, port = scope.get("server") or ("", "")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str((scope.get("client") or ("",))[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:
            continue  # it would be taken for the header with a hyphen, which a proxy may vouch for
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    return environ


async def read(environ: Environ, receive: Receive, largest: int, seconds: float, take: Take) -> bytes:
    """Read a body. Raises BodyTooLarge, BodyTooLate, Gone, and what `take` raises."""
    length = environ.get("CONTENT_LENGTH", "0")
    if not length.isdecimal() or len(length) > _DIGITS or int(length) > largest:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                piece = message.get("body", b"")
                if len(body) + len(piece) > largest:
                    raise BodyTooLarge
                take(len(piece))
                body += piece
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError as why:
        raise BodyTooLate from why


_DIGITS: Final = 15
