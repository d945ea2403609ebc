"""What the gateway says it can do, by `initialize` and `server/discover`: one line for each capability."""

from __future__ import annotations

from typing import Any, Final

EMA: Final = "io.modelcontextprotocol/enterprise-managed-authorization"
MODERN: Final[dict[str, Any]] = {
    "tools": {"listChanged": False},
    "extensions": {EMA: {}},
}
LEGACY: Final[dict[str, Any]] = {
    **MODERN,
    "logging": {},
    "tools": {"listChanged": True},
}
"""A session has a stream that says so; what a stateless client would listen to is not there."""
