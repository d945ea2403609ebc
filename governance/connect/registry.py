"""An MCP registry of the catalog: what `/v0.1/servers` answers, as pure functions of the systems that are served.

Source: the registry's OpenAPI document of 2025-12-01, docs/reference/api/openapi.yaml of modelcontextprotocol/registry.
A system is one server with one version, which its edits count. What is disabled or not served is not in the list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
USUAL, MOST = 30, 100
"""Servers on a page."""
LATEST: Final = "latest"
_LONGEST: Final = 100
"""Characters of a description or a title."""


class BadRegistryQuery(DomainError):
    """The query is malformed. Give `limit` from 1 on, and `updated_since` as a time with its zone (RFC 3339)."""

    code, status = "bad_registry_query", HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Entry:
    """One system as the registry lists it."""

    name: str
    title: str
    url: str
    version: str
    published_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asks for: entries after `cursor`, a name, that fit all the rest."""

    cursor: str = ""
    limit: int = USUAL
    search: str = ""
    updated_since: datetime | None = None
    version: str = ""


def namespace(host: str) -> str:
    """Return a host name in reverse order of its labels; an address literal stays, without what a name cannot hold."""
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        return host.replace(":", "-")
    return ".".join(reversed(host.split(".")))


def read(asked: Mapping[str, str]) -> Query:
    """Read the parameters of a request. Raises BadRegistryQuery; parameters that it does not know are ignored."""
    return Query(
        cursor=asked.get("cursor", ""),
        limit=_limit(asked.get("limit", "")),
        search=asked.get("search", ""),
        updated_since=_time(asked.get("updated_since", "")),
        version=asked.get("version", ""),
    )


def _limit(text: str) -> int:
    if not text:
        return USUAL
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise BadRegistryQuery
    return min(int(text), MOST)


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRegistryQuery from error
    if time.tzinfo is None:
        raise BadRegistryQuery
    return time


def page(entries: Sequence[Entry], query: Query) -> dict[str, Any]:
    """Return one page of the list, by name, and the cursor of the next where there is more."""
    fit = [entry for entry in sorted(entries, key=lambda each: each.name) if _fits(entry, query)]
    shown = fit[: query.limit]
    metadata: dict[str, Any] = {"count": len(shown)}
    if len(fit) > len(shown):
        metadata["nextCursor"] = shown[-1].name
    return {"servers": [document(entry) for entry in shown], "metadata": metadata}


def _fits(entry: Entry, query: Query) -> bool:
    return (
        entry.name > query.cursor
        and query.search.lower() in entry.name.lower()
        and (query.updated_since is None or entry.updated_at >= query.updated_since)
        and query.version in ("", LATEST, entry.version)
    )


def find(entries: Sequence[Entry], name: str, version: str = LATEST) -> Entry | None:
    """Return the server of this name and version."""
    return next(
        (entry for entry in entries if entry.name == name and version in (LATEST, entry.version)),
        None,
    )


def document(entry: Entry) -> dict[str, Any]:
    """Return one server: where it is, and nothing about who may use it."""
    return {
        "server": {
            "$schema": SCHEMA,
            "name": entry.name,
            "title": _short(entry.title),
            "description": _short(f"{entry.title}, behind Mandate: sign in, and call what you have access to."),
            "version": entry.version,
            "remotes": [{"type": "streamable-http", "url": entry.url}],
        },
        "_meta": {
            OFFICIAL: {
                "status": "active",
                "publishedAt": entry.published_at.isoformat(),
                "updatedAt": entry.updated_at.isoformat(),
                "isLatest": True,
            }
        },
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
