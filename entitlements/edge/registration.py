"""The registration endpoint (RFC 7591), where it is on: it seals what a client says of itself, and writes nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from audit import client_address, clock
from entitlements import addresses, ratelimits, strict
from entitlements.catalog.models import System
from entitlements.clients import registrations
from entitlements.clients.metadata import BadMetadata, BadRedirect
from entitlements.errors import DomainError, NotFound
from entitlements.gateway.http import Answer
from entitlements.node.refusals import Closed

from . import door, metadata
from .door import Received
from .outside import Outside, RequestReads

LARGEST: Final = 8 * 1024
"""Bytes of a registration that is read; what does not fit into an identifier is refused afterwards."""
_JSON: Final = "application/json"


def is_on() -> bool:
    """Whether clients may register themselves here."""
    return bool(settings.DYNAMIC_REGISTRATION)


async def answer(outside: Outside, received: Received, system: str) -> Answer:
    """Answer a registration at a system, or without one at the identity issuer. Refusals are counted by minute."""
    if received.method != "POST":
        body = {"error": "invalid_request", "code": "method_not_allowed"}
        return door.json(body, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"))
    try:
        outside.position()  # without a lease nothing that is kept may be used
        try:
            outside.check_rate(_counted_as(received.source), ratelimits.REGISTRATIONS)
            return door.json(await _registered(outside.reads(), received, system), HTTPStatus.CREATED)
        except DomainError as error:
            await outside.count_stranger(str(error.code), received.source)
            return _refused(error)
    except (Closed, clock.ClockUnknown) as error:
        return door.unavailable(error)


async def _registered(reads: RequestReads, received: Received, system: str) -> dict[str, Any]:
    path = addresses.issuer_path(system) if system else addresses.IDP
    if system and await metadata.kind(reads, system) in (None, System.Kind.BUILTIN):
        raise NotFound
    if received.header("content-type").partition(";")[0].strip().lower() != _JSON:
        raise BadMetadata(f"Send the metadata as {_JSON}.")
    wanted = registrations.read(strict.loads(received.body, largest=LARGEST))
    client_id, registration = await registrations.sealed(reads, path, wanted, clock.now())
    return {**registrations.document(client_id, registration), "client_id_issued_at": registration.issued}


def _counted_as(source: str) -> str:
    """Name a source among the clients that are counted beside it: no client's identifier has a space."""
    return f"registers from {client_address.counted_as(source)}"


def _refused(error: DomainError) -> Answer:
    """Answer a refusal in the words of RFC 7591 section 3.2.2."""
    if isinstance(error, ratelimits.TooMany):
        return _answer("slow_down", error, (b"retry-after", str(error.wait).encode()))
    if isinstance(error, NotFound):
        return _answer("not_found", error)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer("temporarily_unavailable", error, (b"retry-after", b"2"))
    word = "invalid_redirect_uri" if isinstance(error, BadRedirect) else "invalid_client_metadata"
    return _answer(word, error, status=HTTPStatus.BAD_REQUEST)


def _answer(word: str, error: DomainError, *headers: tuple[bytes, bytes], status: int | None = None) -> Answer:
    body = {"error": word, "error_description": error.message, "code": str(error.code)}
    return door.json(body, status or error.status, *headers)
