"""What binds of the registry's OpenAPI document, version 2025-12-01, in the schemas of its answers.

Source: `ServerList`, `ServerResponse`, `ServerDetail` and `StreamableHttpTransport` of
docs/reference/api/openapi.yaml in modelcontextprotocol/registry. Properties that we never send are left out, and what
is not listed here is refused.
"""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 100}
_REMOTE: Final = {
    "type": "object",
    "required": ["type", "url"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["streamable-http"]},
        "url": {"type": "string", "pattern": r"^(https?://[^\s]+|\{[a-zA-Z_][a-zA-Z0-9_]*\}[^\s]*)$"},
    },
}
_DETAIL: Final = {
    "type": "object",
    "required": ["name", "description", "version", "remotes"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "name": {
            "type": "string",
            "minLength": 3,
            "maxLength": 200,
            "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$",
        },
        "title": _TEXT,
        "description": _TEXT,
        "version": {"type": "string", "maxLength": 255, "pattern": r"^\d+\.\d+\.\d+$"},
        "remotes": {"type": "array", "items": _REMOTE},
    },
}
_OFFICIAL: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "status": {"enum": ["active", "deprecated", "deleted"]},
        "publishedAt": _TIME,
        "updatedAt": _TIME,
        "isLatest": {"type": "boolean"},
    },
}
RESPONSE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["server"],
    "properties": {
        "server": _DETAIL,
        "_meta": {
            "type": "object",
            "required": ["io.modelcontextprotocol.registry/official"],
            "properties": {"io.modelcontextprotocol.registry/official": _OFFICIAL},
        },
    },
}
LIST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["servers"],
    "additionalProperties": False,
    "properties": {
        "servers": {"type": "array", "items": RESPONSE},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"nextCursor": {"type": "string", "minLength": 1}, "count": {"type": "integer"}},
        },
    },
}
