"""A REST API that takes orders, by documents that differ in the operations that are refused."""

from __future__ import annotations

from typing import Final

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.people.models import Person
from entitlements.rest_apis import rest_apis, sources

_COOKIE: Final = [{"name": "s", "in": "cookie", "schema": {"type": "string"}}]


def register(owner: Person) -> None:
    """Register it: one operation, none refused."""
    rest_apis.register("orders", name="Orders", owner=owner, source=_document(), by=SYSTEM)


def refuse(_world: object) -> object:
    """Read a document that has another operation, which is refused."""
    return rest_apis.read_document(System.objects.get(slug="orders"), source=_document("mine"), by=SYSTEM)


def _document(*names: str) -> sources.Source:
    refused = {f"/{name}": {"get": {"operationId": name, "parameters": _COOKIE}} for name in names}
    paths = {"/all": {"get": {"operationId": "all"}}, **refused}
    info = {"title": "Orders", "version": "1"}
    return sources.of({"openapi": "3.1.0", "info": info, "servers": [{"url": "https://o.example"}], "paths": paths})
