"""Rules of metadata documents: which address can be one, how long one is kept, which change makes another client.

Source: draft-ietf-oauth-client-id-metadata-document. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from entitlements.clients import metadata, redirects
from entitlements.clients.metadata import Metadata
from entitlements.errors import DomainError

LARGEST: Final = 5 * 1024
"""Bytes of a document."""
LARGEST_KEYS: Final = 64 * 1024
"""Bytes of a key set that a document names."""
SECONDS: Final = 5.0
LONGEST: Final = 300
"""Characters of an address."""
LONGEST_KEPT: Final = timedelta(days=1)
SHORTEST_KEPT: Final = timedelta(minutes=1)
"""How long a document is kept even if its server says otherwise: as long as one question takes."""
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,9})")
_NOT_KEPT: Final = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)(?:$|[,\s=])")
_JSON: Final = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json")


class BadAddress(DomainError):
    """The client's identifier is no address of a metadata document: it is https, with a path and without a fragment."""

    code, status = "client_document_address", HTTPStatus.UNPROCESSABLE_ENTITY


class NotJson(DomainError):
    """What stands at the client's address is no JSON document."""

    code, status = "client_document_not_json", HTTPStatus.UNPROCESSABLE_ENTITY


class OtherClient(DomainError):
    """The document at the client's address is for another client: its client_id is not that address."""

    code, status = "client_document_of_another_client", HTTPStatus.UNPROCESSABLE_ENTITY


def is_address(client_id: str) -> bool:
    """Whether a client identifier is meant as the address of a document."""
    return client_id.startswith(("https://", "http://"))


def check_address(client_id: str) -> None:
    """Check an address before anything is fetched. Raises BadAddress."""
    parts = metadata.parts_of(client_id) if len(client_id) <= LONGEST else None
    if parts is None or parts.path in ("", "/") or parts.netloc != parts.netloc.lower():
        raise BadAddress
    if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        raise BadAddress


def host(client_id: str) -> str:
    """Return the host of a checked address, with its port where it names one."""
    return urlsplit(client_id).netloc


def read(client_id: str, document: object) -> Metadata:
    """Read a document that stands at an address. Raises OtherClient, and what `metadata.read` raises."""
    if not isinstance(document, Mapping) or document.get("client_id") != client_id:
        raise OtherClient
    return metadata.read(document)


def check_content_type(content_type: str) -> None:
    """Check that an answer says it is JSON. Raises NotJson."""
    if not _JSON.fullmatch(content_type.partition(";")[0].strip().lower()):
        raise NotJson


def kept_for(cache_control: str) -> timedelta:
    """Return how long a document is kept, by the header that came with it (RFC 9111 section 5.2.2)."""
    header = cache_control.lower()
    if _NOT_KEPT.search(header):
        return SHORTEST_KEPT
    named = _MAX_AGE.search(header)
    return max(SHORTEST_KEPT, min(LONGEST_KEPT, timedelta(seconds=int(named[1])))) if named else LONGEST_KEPT


def is_same_client(before: Metadata, keys_before: Mapping[str, Any], after: Metadata, keys: Mapping[str, Any]) -> bool:
    """Whether a document still describes the client that was agreed to: with its keys and redirect hosts."""
    return (before.auth, keys_before, before.redirect_hosts) == (after.auth, keys, after.redirect_hosts)


def is_proven(client_id: str, auth: str, redirect_uri: str) -> bool:
    """Whether a sign-in can only end at the client of this address: it has a key, or its own host gets the code.

    A loopback never counts: any program on the computer can listen there (RFC 8252 section 8.6).
    """
    if redirects.is_loopback(redirect_uri):
        return False
    if auth == metadata.PRIVATE_KEY_JWT:
        return True
    back = urlsplit(redirect_uri)
    return is_address(client_id) and (back.scheme, back.netloc) == ("https", host(client_id))
