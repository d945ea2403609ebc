"""SCIM's endpoints: each translates and calls a verb of `entitlements.people_sources.provisioning`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from scim2_models import (
    Context,
    Error,
    ListResponse,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SearchRequest,
)

from entitlements.errors import Malformed, NotFound, Stale
from entitlements.people_sources import groups as group_actions
from entitlements.people_sources import provisioning
from entitlements.people_sources.models import PeopleSource, SourcedGroup, SourcedPerson

from . import filters, resources
from .door import answer, body, door, failed, plain
from .shapes import CONFIG, MOST_RESULTS, PERSON, POLICY, PROVIDER, EnterpriseUser, Group, Person

_USUAL: Final = 100
_OF_ONE: Final = ("GET", "PUT", "PATCH", "DELETE")
_FARTHEST: Final = 2**31
"""The last place at which a list may begin: PostgreSQL counts no further than 2^63."""
_TAG: Final = re.compile(r'W/"([1-9][0-9]{0,8})"')
_MANAGER: Final = f"{EnterpriseUser.__schema__}:manager".lower()

type Entry = SourcedPerson | SourcedGroup


@door
def users(request: HttpRequest, source: PeopleSource) -> HttpResponse:
    """List people, or add one."""
    if request.method == "GET":
        rows = source.people.filter(removed_at=None).select_related("person", "source")
        return _listed(request, rows, PERSON)
    if request.method != "POST":
        return _not_allowed("GET", "POST")
    requested = PERSON.model_validate(body(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST, **_READ)
    if requested.active is None:
        requested.active = True
    return _shown(request, provisioning.add_person(source, resources.person_data(requested)), status=HTTPStatus.CREATED)


@door
def user(request: HttpRequest, source: PeopleSource, pk: str) -> HttpResponse:
    """Show, replace, change or remove a person."""
    if request.method not in _OF_ONE:
        return _not_allowed(*_OF_ONE)
    key = _key(pk)
    if request.method == "DELETE":
        provisioning.remove_person(source, key, expected=_expected(request))
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    entry = source.people.select_related("person", "source").filter(pk=key, removed_at=None).first()
    if entry is None:
        raise NotFound
    if request.method == "GET":
        return _shown(request, entry)
    wanted = cast("Person", _wanted(request, resources.person(entry)))
    data, expected = resources.person_data(wanted), _expected(request) or entry.version
    return _shown(request, provisioning.change_person(source, key, data, expected=expected))


@door
def groups(request: HttpRequest, source: PeopleSource) -> HttpResponse:
    """List groups, or add one."""
    if request.method == "GET":
        return _listed(request, source.groups.filter(removed_at=None).select_related("group", "source"), Group)
    if request.method != "POST":
        return _not_allowed("GET", "POST")
    requested = Group.model_validate(body(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST, **_READ)
    added = group_actions.add_group(source, **_of_group(requested))
    return _shown(request, added, status=HTTPStatus.CREATED)


@door
def group(request: HttpRequest, source: PeopleSource, pk: str) -> HttpResponse:
    """Show, replace, change or close a group."""
    if request.method not in _OF_ONE:
        return _not_allowed(*_OF_ONE)
    key = _key(pk)
    if request.method == "DELETE":
        group_actions.close_group(source, key, expected=_expected(request))
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    entry = source.groups.select_related("group", "source").filter(pk=key, removed_at=None).first()
    if entry is None:
        raise NotFound
    if request.method == "GET":
        return _shown(request, entry)
    wanted = cast("Group", _wanted(request, resources.group(entry)))
    expected = _expected(request) or entry.version
    return _shown(request, group_actions.change_group(source, key, **_of_group(wanted), expected=expected))


@door
def about(request: HttpRequest, source: PeopleSource, kind: str, key: str = "") -> HttpResponse:
    """Say what this service can do, and which attributes it knows (RFC 7644, section 4)."""
    del source
    if request.method != "GET":
        return _not_allowed("GET")
    if "filter" in request.GET:  # RFC 7644, section 4: a filter here is forbidden
        return failed(Error(status=403, detail="This is not filtered."))
    known: dict[str, list[Resource[Any]]] = {
        "ServiceProviderConfig": [CONFIG],
        "ResourceTypes": [*PROVIDER.resource_types],
        "Schemas": [*PROVIDER.schemas],
    }
    documents = [_described(document) for document in known[kind]]
    if kind == "ServiceProviderConfig":
        return answer(documents[0])
    if key:
        matching = [document for document in documents if document["id"] == key]
        return answer(matching[0]) if matching else _nothing()
    listed: Any = ListResponse[Schema | ResourceType].model_validate(
        {"totalResults": len(documents), "itemsPerPage": len(documents), "startIndex": 1, "Resources": documents}
    )
    return answer(listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


@door
def elsewhere(request: HttpRequest, source: PeopleSource, rest: str) -> HttpResponse:
    """Answer what SCIM has and we do not: bulk, searching by POST, and /Me; and every other address."""
    del request, source
    if rest in ("Bulk", "Me", ".search", "Users/.search", "Groups/.search"):
        return failed(Error(status=501, detail="This service does not do that; see /ServiceProviderConfig."))
    return _nothing()


_READ: Final[dict[str, Any]] = {"scim_policy": POLICY}


def _described(thing: Resource[Any]) -> dict[str, Any]:
    document: dict[str, Any] = thing.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    kind = type(thing).__name__
    where = kind if kind == "ServiceProviderConfig" else f"{kind}s/{document['id']}"
    document["meta"] = {"resourceType": kind, "location": resources.address("", "")[:-3] + f"/{where}"}
    return document


def _wanted(request: HttpRequest, present: Resource[Any]) -> Resource[Any]:
    """Return what a resource shall be after PUT or PATCH. Raises what reading the body raises."""
    data, model = body(request), type(present)
    if request.method == "PUT":
        return model.model_validate(data, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, **_READ)
    operations = data.get("Operations")
    for operation in operations if isinstance(operations, list) else ():
        _forgive(operation)
    patch: Any = PatchOp[model].model_validate(  # type: ignore[valid-type]
        data, scim_ctx=Context.RESOURCE_PATCH_REQUEST, **_READ
    )
    patch.patch(present, scim_policy=POLICY)
    plain(present.model_dump(scim_ctx=Context.DEFAULT))
    return present


def _forgive(operation: object) -> None:
    """Read a manager who is named by a bare text, as Entra ID names them, as the value that it is."""
    if not isinstance(operation, dict) or not isinstance(operation.get("value"), str):
        return
    if str(operation.get("path", "")).lower() == _MANAGER:
        operation["value"] = {"value": operation["value"]}


def _of_group(wanted: Group) -> dict[str, Any]:
    name = (wanted.display_name or "").strip()
    if not name:
        raise Malformed("A group has a name.")
    members = [str(member.value) for member in wanted.members or [] if member.value]
    return {"name": name, "external_id": (wanted.external_id or "")[:255], "members": members}


def _shown(request: HttpRequest, entry: Entry, *, status: int = HTTPStatus.OK) -> HttpResponse:
    model: Any = PERSON if isinstance(entry, SourcedPerson) else Group
    parameters = {key: request.GET[key] for key in ("attributes", "excludedAttributes") if key in request.GET}
    chosen = ResponseParameters[model].model_validate(parameters, **_READ)
    resource = _resource(entry, members=_wants_members(chosen))
    document = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=chosen)
    response = answer(document, status=status)
    response["ETag"] = resources.version(entry)
    response["Location"] = resources.address("User" if isinstance(entry, SourcedPerson) else "Group", entry.pk)
    return response


def _resource(entry: Entry, *, members: bool) -> Resource[Any]:
    if isinstance(entry, SourcedPerson):
        return resources.person(entry)
    return resources.group(entry, members=members)


def _wants_members(chosen: ResponseParameters[Any]) -> bool:
    """Whether a group's members are read at all; they may be many."""
    if chosen.attributes:
        return any(str(name).lower().startswith("members") for name in chosen.attributes)
    return "members" not in [str(name).lower() for name in chosen.excluded_attributes or ()]


def _listed(request: HttpRequest, rows: QuerySet[Any], model: Any) -> HttpResponse:  # noqa: ANN401 - a model with its extension
    search: Any = SearchRequest[model].model_validate(request.GET.dict(), **_READ)
    if search.filter is not None:
        fields = filters.PEOPLE if model is PERSON else filters.GROUPS
        rows = rows.filter(filters.condition(search.filter.ast, fields)).distinct()
    start = min(max(1, search.start_index or 1), _FARTHEST)
    count = _USUAL if search.count is None else min(max(0, search.count), MOST_RESULTS)
    page = rows.order_by("created_at", "pk")[start - 1 : start - 1 + count]
    members = _wants_members(search)
    entries = [_resource(entry, members=members) for entry in page]
    documents = [
        resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search)
        for resource in entries
    ]
    return answer(
        {
            "schemas": [str(ListResponse.__schema__)],
            "totalResults": rows.count(),
            "startIndex": start,
            "itemsPerPage": len(documents),
            "Resources": documents,
        }
    )


def _expected(request: HttpRequest) -> int | None:
    """Return the version that `If-Match` names. Raises Stale for one that is none of ours."""
    named = request.headers.get("If-Match", "*").strip()
    if named == "*":
        return None
    match = _TAG.fullmatch(named)
    if match is None:
        raise Stale
    return int(match.group(1))


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error


def _nothing() -> HttpResponse:
    return failed(Error(status=404, detail="There is no such thing."))


def _not_allowed(*allowed: str) -> HttpResponse:
    response = failed(Error(status=405, detail="This method is not for this address."))
    response["Allow"] = ", ".join(allowed)
    return response
