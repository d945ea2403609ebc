"""Metadata and key sets on the issuers' own host: what the edge answers, over Django's own connection.

They need no session, no language and no form, so they are answered before all of that: nothing in them varies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.decisions.reads import Reads
from entitlements.edge import door, issuer, metadata
from entitlements.edge.metadata import Document
from entitlements.gateway.http import Answer
from entitlements.revocation import record_keys

from .relay import response

KEPT_SECONDS: Final = 2.0
"""How long this process answers from memory: as long as an edge node may, which loses its lease then."""


class DocumentsMiddleware:
    """Middleware, before sessions and languages: answers where a document stands, and keeps what others may cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._kept: dict[str, tuple[float, Answer]] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the document of this address; anything else goes on."""
        find = _document(request.path)
        if find is None:
            return self.get_response(request)
        try:
            return response(self._answer(str(request.method), request.path, find))
        except (DatabaseError, InterfaceError) as error:
            return response(door.unavailable(error))

    def _answer(self, method: str, path: str, find: Document) -> Answer:
        began = time.monotonic()
        read_at, kept = self._kept.get(path, (0.0, None))
        if kept is not None and method in metadata.READING and began - read_at < KEPT_SECONDS:
            return kept
        answer = own_connection.run(metadata.answer(method, find, READS))
        if metadata.CACHED in answer.headers:
            self._kept[path] = began, answer
        return answer


def _document(path: str) -> Document | None:
    return _record_keys if path == f"/{record_keys.PATH}" else issuer.document(path)


async def _record_keys(reads: Reads) -> Mapping[str, Any]:
    """Publish the keys that signed what is kept: for receipts and evidence packs, never for tokens."""
    del reads
    return record_keys.published()
