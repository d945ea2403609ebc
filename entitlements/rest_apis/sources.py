"""Where a document comes from: an address, fetched past the guard of everything outbound, or a file or value sent."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements import strict
from entitlements.definitions import impressions
from entitlements.errors import DomainError
from entitlements.openapi import documents
from entitlements.upstream import egress

FETCH_SECONDS: Final = 10.0
_LONGEST_NAME: Final = 200
_LONGEST_URL: Final = 500


class DocumentWithoutAddress(DomainError):
    """The document came as a file, so it cannot be fetched again. Upload the new one."""

    code, status = "openapi_without_address", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a document, and where it came from: an address or the name of a file."""

    text: bytes
    url: str = ""
    file_name: str = ""


def fetch(url: str) -> Source:
    """Fetch a document from its address. Raises ForbiddenAddress, Unreachable, AnswerTooLarge."""
    if len(url) > _LONGEST_URL:
        raise egress.ForbiddenAddress
    return Source(egress.read_document(url, largest=documents.LARGEST, seconds=FETCH_SECONDS).body, url=url)


def of(openapi: str | dict[str, Any]) -> Source:
    """Return what an `openapi` of the API names: an address, or the document itself. Raises as `fetch`."""
    return fetch(openapi) if isinstance(openapi, str) else Source(strict.dumps(openapi), file_name="document.json")


def of_file(text: bytes, name: str) -> Source:
    """Return a file that was sent."""
    return Source(text, file_name=impressions.visible(name)[:_LONGEST_NAME] or "document")
