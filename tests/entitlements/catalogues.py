"""Catalogues to import, made by rule: as large as wanted, and the same each time."""

import itertools
import json
from typing import Any

_VERBS = ("get", "list", "search", "create", "update", "delete", "send", "run")
_THINGS = ("issue", "invoice", "page", "user", "table", "report", "message", "command")


def tool(number: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    verb, thing = _VERBS[number % len(_VERBS)], _THINGS[number // len(_VERBS) % len(_THINGS)]
    return {
        "name": f"{verb}_{thing}_{number}",
        "description": f"{verb.title()}s one {thing}. " + "What it does is said at some length here. " * 4,
        "inputSchema": {
            "type": "object",
            "properties": {
                f"{thing}_id": {"type": "string", "description": f"Which {thing}."},
                "limit": {"type": "integer"},
            },
            "required": [f"{thing}_id"],
        },
        **fields,
    }


def systems(count: int, tools: int) -> list[dict[str, Any]]:
    """So many systems that share so many tools."""
    numbers = itertools.count()
    shares = [tools // count + (1 if place < tools % count else 0) for place in range(count)]
    return [
        {"name": f"made-{place}", "title": f"Made {place}", "tools": [tool(next(numbers)) for _ in range(share)]}
        for place, share in enumerate(shares)
    ]


def content(value: object) -> bytes:
    return json.dumps(value).encode()
