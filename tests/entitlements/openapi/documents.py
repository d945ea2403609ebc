"""Small documents that a test needs: one operation, with what matters put in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from entitlements.openapi import reader
from entitlements.rest.operation import Operation, of


def document(
    path: str = "/things", method: str = "get", *, version: str = "3.1.0", **operation: object
) -> dict[str, Any]:
    """Return a document with one operation, called `thing`."""
    described = {"operationId": "thing", "responses": {"200": {"description": "Done."}}, **operation}
    return {
        "openapi": version,
        "info": {"title": "Things", "version": "1"},
        "servers": [{"url": "https://api.example.com/v1"}],
        "paths": {path: {method: described}},
    }


def read(root: dict[str, Any], source: str = "", declared: Sequence[dict[str, Any]] = ()) -> reader.Imported:
    """Read a document from its JSON."""
    return reader.read(json.dumps(root).encode(), source=source, declared=declared)


def one(root: dict[str, Any]) -> dict[str, Any]:
    """Return the one tool of a document."""
    found = read(root)
    assert not found.refused, found.refused
    (tool,) = found.tools
    return tool


def operation(root: dict[str, Any]) -> Operation:
    """Return the one operation of a document."""
    return of(one(root))


def why(root: dict[str, Any]) -> str:
    """Return the stable word for why the one operation of a document is refused."""
    found = read(root)
    assert not found.tools, found.tools
    (refused,) = found.refused
    assert refused.sentence
    return refused.why.value


def query(schema: object, **more: object) -> dict[str, Any]:
    """Return a document whose operation takes one parameter, in the query unless `more` says elsewhere."""
    return document(parameters=[{"name": "q", "in": "query", "schema": schema, **more}])


def body(media: str, schema: object, *, version: str = "3.1.0", **more: object) -> dict[str, Any]:
    """Return a document whose operation takes a body."""
    content = {media: {"schema": schema, **more}}
    return document(method="post", version=version, requestBody={"required": True, "content": content})
