"""The company's oldest system: a REST API for parcels, which knows nothing of MCP, and its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

SLUG: Final = "parcels"
DOCUMENT: Final = "parcels/openapi.json"
_NUMBER: Final = {"name": "number", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 20}}
_STATE: Final = {"type": "string", "enum": ["announced", "under_way", "delivered"]}
_NEW: Final = {
    "type": "object",
    "properties": {"to": {"type": "string", "maxLength": 200}, "grams": {"type": "integer", "minimum": 1}},
    "required": ["to", "grams"],
    "additionalProperties": False,
}
OPENAPI: Final[Mapping[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "Parcels", "version": "4.2"},
    "servers": [{"url": "/parcels"}],
    "paths": {
        "/items": {
            "get": {
                "operationId": "list_parcels",
                "summary": "List parcels, of one state or all.",
                "parameters": [{"name": "state", "in": "query", "schema": _STATE}],
                "responses": {"200": {"description": "Parcels"}},
            },
            "post": {
                "operationId": "announce_parcel",
                "summary": "Announce a parcel.",
                "requestBody": {"required": True, "content": {"application/json": {"schema": _NEW}}},
                "responses": {"201": {"description": "The parcel"}},
            },
        },
        "/items/{number}": {
            "get": {
                "operationId": "show_parcel",
                "summary": "Show where a parcel is.",
                "parameters": [_NUMBER],
                "responses": {"200": {"description": "The parcel"}},
            },
            "delete": {
                "operationId": "cancel_parcel",
                "summary": "Cancel a parcel that was announced.",
                "parameters": [_NUMBER],
                "responses": {"204": {"description": "Cancelled"}},
            },
        },
        "/labels": {
            "get": {
                "operationId": "print_label",
                "summary": "Print the label of the session's parcel.",
                "parameters": [{"name": "session", "in": "cookie", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "The label"}},
            }
        },
    },
}
"""Four operations, and one that asks for a cookie: the import refuses it."""


class Parcels:
    """The parcels of this process."""

    def __init__(self) -> None:
        self._known = {
            "P-1001": {"number": "P-1001", "to": "Lisbon", "grams": 850, "state": "under_way"},
            "P-1002": {"number": "P-1002", "to": "Oslo", "grams": 120, "state": "announced"},
        }

    def answer(self, method: str, path: str, query: bytes, body: bytes) -> tuple[int, object]:
        """Answer one request below the address of the API: a status, and a value or None."""
        match method, path.split("/"):
            case "GET", ["items"]:
                state = parse_qs(query.decode()).get("state", [""])[0]
                return HTTPStatus.OK, {"items": [each for each in self._known.values() if state in ("", each["state"])]}
            case "POST", ["items"]:
                number = f"P-{1001 + len(self._known)}"
                self._known[number] = {"number": number, **json.loads(body), "state": "announced"}
                return HTTPStatus.CREATED, self._known[number]
            case "GET", ["items", number] if number in self._known:
                return HTTPStatus.OK, self._known[number]
            case "DELETE", ["items", number] if number in self._known:
                del self._known[number]
                return HTTPStatus.NO_CONTENT, None
        return HTTPStatus.NOT_FOUND, {"error": "There is no such parcel."}
