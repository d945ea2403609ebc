"""Metadata and key sets on the issuers' own host: what the edge answers, over Django's own connection."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.edge import door, issuer, metadata
from entitlements.revocation import record_keys as record_keys_actions

from .relay import response


@login_not_required
def published(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer with the document of this address."""
    find = issuer.document(request.path)
    try:
        found = None if find is None else own_connection.run(find(READS))
    except (DatabaseError, InterfaceError) as error:
        return response(door.unavailable(error))
    return response(metadata.answer(str(request.method), found))


@login_not_required
def record_keys(request: HttpRequest) -> HttpResponse:
    """Publish the keys that signed what is kept: for receipts and evidence packs, never for tokens."""
    try:
        return response(metadata.answer(str(request.method), record_keys_actions.published()))
    except (DatabaseError, InterfaceError) as error:
        return response(door.unavailable(error))
