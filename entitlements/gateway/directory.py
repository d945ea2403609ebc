"""The systems behind the gateway as a call needs them: where to, by what credential, with which definitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from entitlements import definitions, mcpheaders, upstream, vault
from entitlements.gateway.snapshots import Snapshots
from entitlements.models import System

SECONDS: Final = 60.0
_SERVED: Final = (System.Kind.MCP_GATEWAY,)

_SYSTEM: Final = """
SELECT y.id, y.name, y.kind, y.upstream_url, y.denial_shape, s.kind, s.header, s.sealed,
       array(SELECT e.scope FROM entitlements_entitlement e WHERE e.system_id = y.id AND e.enabled ORDER BY e.scope)
FROM entitlements_system y LEFT JOIN entitlements_secret s ON s.system_id = y.id WHERE y.slug = %s
"""
_TOOLS: Final = """
SELECT t.name, v.id::text, v.definition
FROM entitlements_tool t JOIN entitlements_toolversion v ON v.id = t.approved_id WHERE t.system_id = %s
"""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shown:
    """An approved tool as clients are shown it: its version, its definition as JSON, its arguments in headers."""

    version: str
    definition: bytes
    mirrored: Mapping[str, mcpheaders.Path]
    is_listable: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One system that the gateway serves."""

    slug: str
    name: str
    shape: str
    target: upstream.Target
    scopes: tuple[str, ...]
    tools: Mapping[str, Shown]
    read_at: float


class Directory:
    """Reads systems on first use and keeps them until a change of any system, tool or credential."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._entries: dict[str, Entry] = {}
        self._generation = 0

    async def get(self, slug: str) -> Entry | None:
        """Return a system by its slug; None when the gateway serves no such one. Raises Closed."""
        entry = self._entries.get(slug)
        if entry is not None and time.monotonic() - entry.read_at < SECONDS:
            return entry
        generation = self._generation
        entry = await self._read(slug)
        if entry is not None and generation == self._generation:
            self._entries[slug] = entry
        return entry

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._generation += 1
        self._entries.clear()

    async def _read(self, slug: str) -> Entry | None:
        rows = [] if "\x00" in slug else await self._snapshots.query(_SYSTEM, [slug])
        if not rows or rows[0][2] not in _SERVED:
            return None
        pk, name, _, url, shape, secret_kind, header, sealed, scopes = rows[0]
        credential = None if sealed is None else vault.opened(pk, secret_kind, header, bytes(sealed))
        tools = {tool: _shown(version, raw) for tool, version, raw in await self._snapshots.query(_TOOLS, [pk])}
        target = upstream.Target(url, credential)
        return Entry(slug, name, shape, target, tuple(scopes), tools, time.monotonic())


def _shown(version: str, raw: Mapping[str, Any]) -> Shown:
    mirrored = mcpheaders.annotated(raw.get("inputSchema"))
    return Shown(version, _encode(definitions.reviewed(raw)), mirrored or {}, is_listable=mirrored is not None)
