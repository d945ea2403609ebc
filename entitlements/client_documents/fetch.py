"""Reads a metadata document from its address, through the one guarded way out: no stranger ever causes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from entitlements import strict
from entitlements.clients import metadata
from entitlements.clients.metadata import Metadata
from entitlements.keys import public_keys
from entitlements.upstream import egress

from . import rules


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document that passed every rule, as it came and as it was understood.

    `jwks` are the client's keys, wherever it publishes them; `kept_for` says how long all of this may be kept.
    """

    document: dict[str, Any]
    metadata: Metadata
    jwks: dict[str, Any] = field(default_factory=dict)
    kept_for: timedelta = rules.LONGEST_KEPT


def fetch(client_id: str) -> ReadDocument:
    """Fetch the document of a client, and its keys where those stand elsewhere. Outside of any transaction.

    At most 5 s for both and 5 KB for the document, without redirects. Raises rules.BadAddress, NotJson, OtherClient,
    strict.NotStrictJson, egress.ForbiddenAddress, egress.Unreachable, and what `metadata.read` and
    `public_keys.check_registered` raise.
    """
    rules.check_address(client_id)
    began = time.monotonic()
    answer = egress.read_document(client_id, largest=rules.LARGEST, seconds=rules.SECONDS)
    rules.check_content_type(answer.content_type)
    document = strict.loads(answer.body)
    read = rules.read(client_id, document)
    left = rules.SECONDS - (time.monotonic() - began)
    return ReadDocument(document, read, _keys(read, left), rules.kept_for(answer.cache_control))


def stored(client_id: str, document: dict[str, Any]) -> ReadDocument:
    """Read a document that a person brings, where nothing is fetched. Raises as `fetch`, and BadMetadata for jwks_uri.

    Its keys stand in it: nothing could be fetched.
    """
    rules.check_address(client_id)
    read = rules.read(client_id, document)
    if read.jwks_uri:
        raise metadata.BadMetadata("A document that is stored by hand holds its keys itself: give jwks, not jwks_uri.")
    return ReadDocument(document, read, dict(read.jwks))


def _keys(read: Metadata, seconds: float) -> dict[str, Any]:
    if not read.jwks_uri:
        return dict(read.jwks)
    published = egress.read_json(read.jwks_uri, largest=rules.LARGEST_KEYS, seconds=max(seconds, 0.001))
    public_keys.check_registered(published)
    return {"keys": published["keys"]}
