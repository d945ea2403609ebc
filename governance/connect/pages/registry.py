"""`/v0.1/servers`: the registry for programs, which bring no credential. Only the networks that are named may read it.

To every other address it does not exist, and nothing is read or written for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Concatenate, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_http_methods

from governance.connect import queries, registry

HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Cache-Control": "no-cache",
}
"""What GitHub Copilot asks of a registry. No credential is read, so a page of another origin learns nothing more."""
_NO_SERVER: Final = {"error": "Server not found"}

type Found = Mapping[str, Any] | None


def _document[**P](
    find: Callable[Concatenate[HttpRequest, P], Found],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Make a view that answers with a document and its ETag, with 404 where there is none, to those who may read."""

    @wraps(find)
    def view(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not may_read(str(request.META.get("REMOTE_ADDR", ""))):
            return _answer(request, HTTPStatus.NOT_FOUND, _NO_SERVER)
        if request.method == "OPTIONS":
            return HttpResponse(status=HTTPStatus.NO_CONTENT, headers=HEADERS)
        try:
            found = find(request, *args, **kwargs)
        except registry.BadRegistryQuery as error:
            return _answer(request, error.status, {"error": error.message})
        return _answer(request, HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK, found or _NO_SERVER)

    return login_not_required(require_http_methods(["GET", "HEAD", "OPTIONS"])(view))


def may_read(address: str) -> bool:
    """Say whether a program at this address may read the registry (`MCP_REGISTRY_READERS`)."""
    try:
        reader = ip_address(address)
    except ValueError:
        return False
    return any(reader in network for network in settings.REGISTRY_READERS)


def _answer(request: HttpRequest, status: int, body: Mapping[str, Any]) -> HttpResponse:
    text = json.dumps(body).encode()
    answer = HttpResponse(text, status=status, content_type="application/json", headers=HEADERS)
    if status != HTTPStatus.OK:
        return answer
    answer["ETag"] = etag = f'"{hashlib.sha256(text).hexdigest()}"'
    return get_conditional_response(request, etag=etag, response=answer) or answer


@_document
def servers(request: HttpRequest) -> Found:
    """List the servers."""
    query = registry.read(request.GET.dict())
    return registry.page(queries.entries(), query)


@_document
def versions(request: HttpRequest, name: str) -> Found:
    """List the versions of one server: its one."""
    del request
    entry = registry.find(queries.entries(), name)
    return None if entry is None else registry.page([entry], registry.Query())


@_document
def version(request: HttpRequest, name: str, wanted: str) -> Found:
    """Describe one version of one server."""
    del request
    entry = registry.find(queries.entries(), name, wanted)
    return None if entry is None else registry.document(entry)
