"""Actions on REST APIs: register one with its document, read another document, declare an operation by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final, Unpack

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog import discovery, systems
from entitlements.catalog.models import System, Tool
from entitlements.catalog.systems import SystemOptions
from entitlements.errors import DomainError
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.openapi import reader
from entitlements.openapi.errors import SENTENCES, OperationRefused, Why
from entitlements.openapi.reader import Imported
from entitlements.people.models import Person
from entitlements.rest_apis import sources
from entitlements.rest_apis.models import RestApi
from entitlements.rest_apis.sources import Source

MOST_DECLARED: Final = 200


class NotRestApi(DomainError):
    """The system is not a REST API. Only a system of the kind http has an OpenAPI document."""

    code, status = "not_a_rest_api", HTTPStatus.CONFLICT


class OperationNameTaken(DomainError):
    """Another tool of the system has this name. Choose another."""

    code, status = "operation_name_taken", HTTPStatus.CONFLICT


class AddressMissing(DomainError):
    """The document names no server, several, or one with variables. Say at which address the API is."""

    code, status = "openapi_without_server", HTTPStatus.UNPROCESSABLE_ENTITY


def preview(source: Source) -> Imported:
    """Read a document, and store nothing. Raises DocumentMalformed."""
    return reader.read(source.text, source=source.url)


@transaction.atomic
def register(
    slug: str,
    *,
    name: str,
    owner: Person | None,
    upstream_url: str = "",
    source: Source | None = None,
    by: Principal,
    **options: Unpack[SystemOptions],
) -> System:
    """Add a system of the kind `http`, with the tools of its document where it has one.

    Without `upstream_url` its address is the one server of the document. Raises AddressMissing, DocumentMalformed, and
    as `systems.register_system`.
    """
    imported = preview(source) if source else None
    address = upstream_url or (imported.address if imported else "")
    if not address and imported:
        raise AddressMissing
    kind = System.Kind.HTTP
    system = systems.register_system(
        slug, name=name, kind=kind, owner=owner, upstream_url=address.rstrip("/"), by=by, **options
    )
    rest_api = RestApi.objects.create(system=system)
    if source and imported:
        _record(rest_api, source, imported, by=by)
    return system


@transaction.atomic
def read_document(system: System, *, source: Source, by: Principal) -> discovery.Discovery:
    """Read another document of a REST API; its tools are compared with the pinned ones, as those of any server.

    The address that calls go to stays as it is. Raises NotRestApi, DocumentMalformed, and as `record_discovery`.
    """
    rest_api = _of(system)
    imported = reader.read(source.text, source=source.url, declared=rest_api.declared)
    return _record(rest_api, source, imported, by=by)


def discover(system: System, *, by: Principal) -> tuple[int, discovery.Discovery]:
    """Fetch the document of a REST API again; return how many tools it has, and what changed.

    Raises NotRestApi, DocumentWithoutAddress, and as `sources.fetch` and `read_document`.
    """
    found = read_document(system, source=_fetch(system), by=by)
    return RestApi.objects.get(system=system).operations, found


def look(system: System) -> int:
    """Fetch the document of a REST API, and return how many tools it has. Raises as `discover`."""
    return len(preview(_fetch(system)).tools)


def _fetch(system: System) -> Source:
    url = RestApi.objects.filter(system=system).values_list("document_url", flat=True).first()
    if not url:
        raise sources.DocumentWithoutAddress
    return sources.fetch(url)


@transaction.atomic
def declare(
    system: System, *, name: str, method: str, path: str, operation: Mapping[str, Any], by: Principal
) -> discovery.Discovery:
    """Declare one operation by hand, in the words of OpenAPI 3.1, or another form of one that was declared before.

    Raises NotRestApi, OperationRefused, OperationNameTaken.
    """
    definition = reader.declare(method, path, name, operation)
    rest_api = _of(system)
    others = [kept for kept in rest_api.declared if kept["name"] != name]
    is_mine = len(others) < len(rest_api.declared)
    _check_place(system, definition, is_mine=is_mine)
    if len(others) >= MOST_DECLARED:
        raise OperationRefused("The system has too many operations that are declared by hand.", most=MOST_DECLARED)
    found = discovery.record_discovery(system, [definition], by=by, complete=False)
    rest_api.declared = [*others, definition]
    rest_api.save(update_fields=["declared"])
    System.objects.filter(pk=system.pk).update(discovered_at=clock.now())
    detail = {"method": method.upper(), "path": path, "name": name}
    log.record(Action.SYSTEM_OPERATION_DECLARED, about=[f"system:{system.slug}"], by=by, detail=detail)
    return found


def _of(system: System) -> RestApi:
    """Return what describes a system, locked. Raises NotRestApi."""
    locks.exclusive((Lock.SYSTEM, system.pk))
    if system.kind != System.Kind.HTTP:
        raise NotRestApi
    RestApi.objects.get_or_create(system=system)
    return RestApi.objects.select_for_update().select_related("system").get(system=system)


def _record(rest_api: RestApi, source: Source, imported: Imported, *, by: Principal) -> discovery.Discovery:
    """Compare the tools with the pinned ones, and write down which document it was; the same again is no event."""
    found = discovery.record_discovery(rest_api.system, [*imported.tools, *rest_api.declared], by=by)
    is_same = (rest_api.sha256, rest_api.document_url) == (imported.sha256, source.url)
    rest_api.document_url, rest_api.file_name = source.url, "" if source.url else source.file_name
    rest_api.title, rest_api.api_version = imported.title, imported.version
    rest_api.sha256, rest_api.size, rest_api.read_at = imported.sha256, imported.size, clock.now()
    rest_api.operations = len(imported.tools)
    refused = [{**asdict(each), "why": each.why.value} for each in imported.refused]
    if refused != rest_api.refused:
        changes.note(subjects.system(rest_api.system_id))  # no call may lead to one of them
    rest_api.refused = refused
    rest_api.renamed = [asdict(each) for each in imported.renamed]
    rest_api.save()
    if not is_same:
        detail = {
            "sha256": imported.sha256,
            "size": imported.size,
            "document_url": source.url,
            "file_name": rest_api.file_name,
            "operations": len(imported.tools),
            "refused": len(imported.refused),
            "refused_by_reason": [f"{why}: {count}" for why, count in reader.count_by_reason(imported.refused)],
            "renamed": len(imported.renamed),
        }
        log.record(Action.SYSTEM_OPENAPI_READ, about=[f"system:{rest_api.system.slug}"], by=by, detail=detail)
    return found


def _check_place(system: System, definition: Mapping[str, Any], *, is_mine: bool) -> None:
    """Refuse the name of a tool that was not declared by hand, and the method and path of any other tool."""
    others = system.tools.exclude(state=Tool.State.REMOVED).exclude(name=definition["name"])
    if not is_mine and system.tools.filter(name=definition["name"]).exclude(state=Tool.State.REMOVED).exists():
        raise OperationNameTaken(name=definition["name"])
    place = reader.place(definition)
    for name, known in others.values_list("name", "seen__definition"):
        if known and reader.place(known) == place:
            raise OperationRefused(SENTENCES[Why.PATH_TWICE], why=Why.PATH_TWICE.value, about=name)
