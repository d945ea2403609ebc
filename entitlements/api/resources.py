"""Addresses of rows: lists, details, and the actions on them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from entitlements.permissions.matrix import WEIGHTY

from . import paging, preconditions
from .actions import NEW, Action, Performed, Subject
from .endpoints import Endpoint


class Resource(Endpoint):
    """An address of one kind of row: which the caller sees, how each is found, named in the record and shown."""

    subject: ClassVar[Subject]
    lookup: ClassVar[str] = "pk"
    shown: ClassVar[type[BaseSerializer[Any]]]
    asked: ClassVar[type[BaseSerializer[Any]] | None] = None
    answers: ClassVar[int] = HTTPStatus.OK
    answers_also: ClassVar[Mapping[int, type[BaseSerializer[Any]]]] = MappingProxyType({})

    def rows(self) -> QuerySet[Any]:
        """Return what the caller sees."""
        return type(self).subject.rows(self.caller)

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        """Return the links by which the audit log names a row."""
        return type(self).subject.about(row)

    def where(self) -> dict[str, Any]:
        """Return the lookup of the row that the address names."""
        if hasattr(type(self), "subject"):
            return type(self).subject.key(*self.kwargs.values())
        return {self.lookup: self.kwargs["key"]}

    def find_row(self) -> Any:  # noqa: ANN401 - as above
        """Return the row that the address names. Raises NotFound."""
        return self.find(self.rows(), **self.where())

    def show(self, row: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - as above
        """Answer with a row as it is now, with its ETag where it has versions."""
        data = self.shown(row, context=self.get_serializer_context()).data
        version = getattr(row, "version", None)
        return Response(data, **kwargs) if version is None else tagged(data, version, **kwargs)

    def again(self, row: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - as above
        """Answer with a row read again, as the caller sees it after the change."""
        return self.show(self.find(self.rows(), pk=row.pk), **kwargs)


class Listing(Resource):
    """An address that lists what the caller sees, in pages."""

    pagination_class = paging.Keyset

    def known_parameters(self) -> frozenset[str]:
        """Return the parameters of a page beside those of any address."""
        return super().known_parameters() | {paging.CURSOR, paging.LIMIT}

    def get_queryset(self) -> QuerySet[Any]:
        """Return what the caller sees; nothing while the schema is being written."""
        if getattr(self, "swagger_fake_view", False):
            return self.model().none()
        return self.rows()

    def model(self) -> QuerySet[Any]:
        """Return all rows, for the schema."""
        rows: QuerySet[Any] = self.filterset_class.Meta.model.objects.all()  # type: ignore[attr-defined]
        return rows

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Answer one page."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        serializer = self.shown(page, many=True, context=self.get_serializer_context())
        return self.get_paginated_response(serializer.data)


class Detail(Resource):
    """An address that shows one row."""

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Show the row."""
        return self.show(self.find_row())


class PerformEndpoint(Resource):
    """An address whose POST performs an action, declared once for the API and the console."""

    action: ClassVar[Action]
    shows_result: ClassVar[bool] = False
    """Whether the answer is what the action returned, and not the row."""
    is_versioned: ClassVar[bool] = True
    """Whether If-Match names the version of the row."""

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 - the language's signature
        """Take method, subject and body from the action."""
        super().__init_subclass__(**kwargs)
        if (action := cls.__dict__.get("action")) is not None:
            cls.asked = cls.__dict__.get("asked", action.input)
            if action.subject is not NEW:
                cls.subject = action.subject
            setattr(cls, action.method.lower(), cls.handle)

    def handle(self, request: Request, **key: Any) -> Response:  # noqa: ANN401 - the framework's signature
        """Do it, and answer."""
        raise NotImplementedError

    def perform(self, row: Any, values: dict[str, Any] | None = None) -> Performed:  # noqa: ANN401 - a row
        """Do it to the row, by the caller, with the values of the body or those given."""
        action = self.action
        if row is not None:
            self.permit(action.subject.permitted_on(row), *action.subject.about(row))
            self.check_preconditions(row)
        action.actor(self.caller)  # who may not do it at all learns nothing of what is wrong with the body
        values = self.read() if values is None else values
        self.check(row)
        return action.perform(row, self.caller, values)

    def check_preconditions(self, row: Any) -> None:  # noqa: ANN401 - a row
        """Check the version that If-Match names, and re-authentication. Raises Stale, and as reauthentication.check."""
        if self.is_versioned and (version := getattr(row, "version", None)) is not None:
            preconditions.respect(self.request, version)
        if self.row.proven == WEIGHTY:
            self.weigh(weighs=self.action.weighs(row))

    def read(self) -> dict[str, Any]:
        """Return the values of the body, as the action takes them."""
        return self.body(self.asked) if self.asked else {}

    def check(self, row: Any) -> None:  # noqa: ANN401 - a row
        """Check what else the action depends on."""

    def answer(self, performed: Performed) -> Response:
        """Answer with what was done."""
        raise NotImplementedError


class ActionEndpoint(PerformEndpoint):
    """An action on the row that the address names; the answer is the row as it is then."""

    def handle(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Do it, and answer."""
        return self.answer(self.perform(self.find_row()))

    def answer(self, performed: Performed) -> Response:
        """Answer with the row, read again, or with the result."""
        if self.shows_result:
            return self.show(performed.result, status=self.answers)
        return self.again(performed.row)


class EditEndpoint(ActionEndpoint):
    """An edit of the row that the address names, from the version that If-Match names."""

    def perform(self, row: Any, values: dict[str, Any] | None = None) -> Performed:  # noqa: ANN401 - a row
        """Edit it. Raises PreconditionRequired, Stale."""
        self.permit(self.action.subject.permitted_on(row), *self.action.subject.about(row))
        preconditions.require(self.request, row.version)
        values = self.read() if values is None else values
        return super().perform(row, {**values, "version": row.version})


class CreateEndpoint(PerformEndpoint):
    """An action that makes a row; the answer is that row."""

    answers: ClassVar[int] = HTTPStatus.CREATED

    def handle(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Make it, and answer."""
        return self.answer(self.perform(None))

    def answer(self, performed: Performed) -> Response:
        """Answer with what was made, read again, or as it was returned."""
        answer = self.show if self.shows_result else self.again
        return answer(performed.result, status=self.answers)


def tagged(data: Any, version: int, **kwargs: Any) -> Response:  # noqa: ANN401 - serialised JSON
    """Answer with a representation and its ETag."""
    return Response(data, headers={"ETag": preconditions.etag(version)}, **kwargs)
