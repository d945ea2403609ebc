"""The same tool of the same server, registered a second time."""

from __future__ import annotations

from urllib.parse import urlsplit

from entitlements.catalog.models import System, Tool


def find(tool: Tool) -> list[Tool]:
    """Return approved tools of other systems that are this one: of its name, at its address or with its definition."""
    rows = Tool.objects.exclude(pk=tool.pk).exclude(approved=None).filter(name=tool.name)
    digest, address = tool.seen.sha256 if tool.seen else "", _address(tool.system)
    return [
        row
        for row in rows.select_related("system", "approved")
        if (row.approved and row.approved.sha256 == digest) or (address and _address(row.system) == address)
    ]


def _address(system: System) -> tuple[str, int | None, str] | None:
    """Return where a system is reached, without what leads to the same place."""
    parts = urlsplit(system.upstream_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.hostname.rstrip("."), port, parts.path.rstrip("/")) if parts.hostname else None
