"""The role `gateway`: which address goes where, and an answer in JSON-RPC for whatever is refused."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Final

from audit import clock
from entitlements import addresses
from entitlements.codes import Code
from entitlements.gateway import answers, mcp
from entitlements.gateway.authzen import door as authzen
from entitlements.gateway.authzen.metadata import METADATA as AUTHZEN
from entitlements.gateway.documents import metadata
from entitlements.gateway.http import Answer, Disconnected, Request
from entitlements.gateway.origins import cors
from entitlements.gateway.rest import problems, requests
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused

SYSTEMS: Final = "/gw/"
"""What the addresses of systems begin with; no issuer's address does."""
_METADATA: Final = "/.well-known/oauth-protected-resource/"
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAGES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_READING: Final = frozenset({"GET", "HEAD"})
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")

logger = logging.getLogger(__name__)


async def serve(node: Node, request: Request) -> None:
    """Answer one request at an address of the gateway, or at a page that every process has."""
    slug = mcp_system(request.path)
    at_api = "" if slug else rest_system(request.raw_path)
    refused = problems.refused if at_api else answers.refused
    slug = slug or at_api
    try:
        if at_api:
            await requests.serve(node, request, slug)
        elif slug:
            await mcp.serve(node, request, slug)
        elif request.path.startswith("/access/v1/") or request.path == AUTHZEN:
            await authzen.serve(node, request)
        else:
            await _page(node, request)
    except Disconnected:
        return
    except Refused as why:
        is_failure = why.status == HTTPStatus.UNAUTHORIZED and why.code is not Code.PROOF_NONCE_NEEDED
        if is_failure and not isinstance(why, Closed):
            node.strangers.count(why.code, request.source)
        await _answer(request, refused(why, slug=slug))
    except clock.ClockUnknown:
        await _answer(request, refused(Closed(Code.CLOCK_UNKNOWN)))
    except Exception:
        logger.exception("gateway_failed")
        failed = Refused(Code.FEED_UNKNOWN, "The gateway failed.", status=HTTPStatus.INTERNAL_SERVER_ERROR)
        await _answer(request, refused(failed))


def is_page(path: str) -> bool:
    """Say whether an address is one that every process has: its health and its numbers."""
    return path in _PAGES


async def _page(node: Node, request: Request) -> None:
    path = request.path
    if request.method == "OPTIONS" and path.startswith(_METADATA):
        answer = cors.preflight(b"GET, HEAD")
    elif request.method not in _READING and (path in _PAGES or path.startswith(_METADATA)):
        body = {"error": "This address is only read."}
        answer = Answer.of(HTTPStatus.METHOD_NOT_ALLOWED, body, (b"allow", b"GET, HEAD"))
    elif path == "/healthz":
        answer = Answer(HTTPStatus.OK, b"ok\n", (_TEXT,))
    elif path == "/readyz":
        answer = metadata.readiness(node)
    elif path == "/metrics":
        answer = metadata.metrics(node, request.header("authorization") or "")
    elif path.startswith(_METADATA) and (slug := mcp_system("/" + path.removeprefix(_METADATA))):
        answer = await metadata.resource_metadata(node, slug)
    elif path.startswith(_METADATA) and (slug := _at("/" + path.removeprefix(_METADATA), answers.REST)):
        answer = await metadata.resource_metadata(node, slug, answers.REST)
    else:
        answer = Answer.of(HTTPStatus.NOT_FOUND, {"error": "There is nothing at this address."})
    await request.answer(answer)


async def _answer(request: Request, answer: Answer) -> None:
    """Answer a failure, unless an answer has begun: then the connection just ends."""
    if not request.has_begun:
        await request.answer(answer)


def mcp_system(path: str) -> str:
    """Return the system of `/gw/<system>/mcp`, and what stands for all of `/gw/mcp`; empty for every other address.

    The parts are compared, not patterns. What could not be a system's name is none, and so gets into no header and no
    statement.
    """
    return addresses.ALL if path == "/gw/mcp" else _at(path, answers.MCP)


def rest_system(raw_path: bytes) -> str:
    """Return the system of `/gw/<system>/http/...`, not decoded; empty for every other address."""
    return _at("/".join(raw_path.decode("latin-1").split("/", 4)[:4]), answers.REST)


def connector_system(path: str) -> str:
    """Return the system of `/gw/<system>/connector`, empty for every other address."""
    return _at(path, answers.CONNECTOR)


def _at(path: str, protocol: str) -> str:
    match path.split("/"):
        case ["", "gw", slug, last] if last == protocol and slug != addresses.ALL and _SLUG.fullmatch(slug):
            return slug
    return ""
