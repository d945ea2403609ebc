"""How far an attempt to reach a system came: one word for the stage at which it failed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus

import aiohttp

from entitlements.errors import DomainError

from . import egress, relayed, sse
from .token_requests import TokenRefused, TokenUnavailable


class Stage(StrEnum):
    """Where it failed. The API says the word, the console what to do."""

    ADDRESS = "address"
    NAME = "name_lookup"
    PRIVATE = "private_address"
    CONNECTING = "connecting"
    CONNECTOR = "connector"
    TLS = "tls"
    TIMEOUT = "timeout"
    SIGN_IN = "sign_in"
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105 - the name of a stage
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - as above
    TOO_LARGE = "too_large"
    NOT_MCP = "not_mcp"
    NOT_OPENAPI = "not_openapi"


def stage(refusal: DomainError) -> Stage:
    """Return the stage at which a discovery was refused: NOT_MCP for what answered as no MCP server does."""
    for cause in _causes(refusal):
        if known_stage := _stage_of(cause):
            return known_stage
    return Stage.NOT_OPENAPI if refusal.code == "openapi_malformed" else Stage.NOT_MCP


def _stage_of(cause: BaseException) -> Stage | None:  # noqa: C901, PLR0911 - a table
    match cause:
        case relayed.Failed() if (word := str(cause.detail.get("stage"))) in Stage:
            return Stage(word)
        case relayed.NoConnector():
            return Stage.CONNECTOR
        case TokenRefused():
            return Stage.TOKEN_REFUSED
        case TokenUnavailable():
            return Stage.TOKEN_ENDPOINT
        case egress.PrivateAddress():
            return Stage.PRIVATE
        case egress.ForbiddenAddress():
            return Stage.ADDRESS
        case egress.Unreachable() if cause.detail.get("status") in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Stage.SIGN_IN
        case egress.AnswerTooLarge() | sse.TooLarge():
            return Stage.TOO_LARGE
        case TimeoutError():
            return Stage.TIMEOUT
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return Stage.NAME
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Stage.TLS
        case aiohttp.ClientConnectionError() | OSError():
            return Stage.CONNECTING
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, the outermost first; what it only followed on is no cause of it."""
    while error is not None:
        yield error
        error = error.__cause__
