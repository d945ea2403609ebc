"""The base of every view: who calls, may they, once only, in one transaction, and a problem document for the rest."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db import DatabaseError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_filters import BooleanFilter
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from audit import context
from audit.context import Principal
from entitlements import strict
from entitlements.access import reauthentication
from entitlements.access.authentication import AUTHENTICATION
from entitlements.access.caller import Caller
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.idempotency import idempotency
from entitlements.permissions.matrix import MATRIX, WEIGHTY, Matrix, Row
from entitlements.traces import trace_context
from entitlements.traces.request_trace import RequestTrace

from . import permissions, problems, throttling
from .parsers import StrictJSON, Unstorable

_SAFE: Final = frozenset({"GET", "HEAD"})
_BOOLEANS: Final = frozenset({"true", "false"})


class UnknownParameter(Malformed):
    """The address has unknown query parameters. Leave them out."""

    code = "unknown_parameter"


class RepeatedParameter(Malformed):
    """A query parameter is given twice. Give it once."""

    code = "repeated_parameter"


class NotBoolean(Malformed):
    """The parameter must be true or false, in lower case."""

    code = "parameter_not_boolean"


class ObjectNotChecked(RuntimeError):
    """A view did not ask about its object what its row depends on - may the caller, does it weigh much: a mistake."""


class Endpoint(GenericAPIView[Any]):
    """One address. A change runs in one transaction with its stored answer, unless it is `durable` and commits itself.

    `parameters` are the query parameters it knows beyond its filters and paging; `shown_once` the fields of its answer
    that are never stored. A change must have asked `permit` about its object wherever its row depends on one.
    """

    authentication_classes = AUTHENTICATION
    permission_classes = (permissions.ByMatrix,)
    throttle_classes = (throttling.PerCaller,)
    parser_classes = (StrictJSON,)
    http_method_names: Sequence[str] = ("get", "head", "post", "put", "patch", "delete")
    matrix: ClassVar[Matrix] = MATRIX
    parameters: ClassVar[frozenset[str]] = frozenset()
    shown_once: ClassVar[frozenset[str]] = frozenset()
    durable: ClassVar[bool] = False
    ordering: ClassVar[tuple[str, ...]] = ("pk",)

    about: list[str]
    _permitted: bool
    _weighed: bool

    @property
    def caller(self) -> Caller:
        """Who calls. Raises Unauthenticated for a stranger at a public address."""
        if not isinstance(self.request.auth, Caller):
            raise problems.Unauthenticated
        return self.request.auth

    @property
    def principal(self) -> Principal:
        """Whom the record names as the actor."""
        return self.caller.principal

    @property
    def row(self) -> Row:
        """The row of the matrix that applies to this request."""
        match = self.request.resolver_match
        matrix_row = permissions.row_of(self.matrix, match.view_name if match else "", str(self.request.method))
        return matrix_row or Row()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401
        """Answer one request under its own trace; the framework's dispatch, with our transaction around the handler."""
        self.args, self.kwargs = args, kwargs
        self.about, self._permitted, self._weighed = [], False, False
        traced = RequestTrace.of(request.headers.get(trace_context.TRACEPARENT, ""))
        traced.begin()
        with traced.acting(str(uuid.uuid4()), _source(request)):
            drf_request = self.initialize_request(request, *args, **kwargs)
            self.request = drf_request
            self.headers = {
                "Cache-Control": "no-store",
                "X-Request-Id": context.current().request_id,
                "Vary": "Authorization, Cookie",
            }
            try:
                self.initial(drf_request, *args, **kwargs)
                _join(traced, drf_request.auth)
                response = self._answer(drf_request)
            except Exception as error:  # noqa: BLE001 - every error becomes a problem document
                response = self.handle_exception(error)
            self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        match = request.resolver_match
        if getattr(self.response, "exception", False):  # a stream has no such member
            traced.code = str(self.response.data.get("code", ""))
        traced.end(str(request.method), f"/{match.route if match else ''}", self.response.status_code)
        return self.response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        """Authenticate, permit, throttle; then refuse what is not known in the address."""
        if not hasattr(self, str(request.method).lower()) or str(request.method).lower() not in self.http_method_names:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
        sent = [request.query_params.get(name, "") for name in self.parameters]  # a filter refuses its own by name
        if not strict.is_storable([*kwargs.values(), *sent]):
            raise Unstorable
        known = self.known_parameters() if str(request.method) in _SAFE else frozenset()
        unknown = set(request.query_params) - known
        if unknown:
            raise UnknownParameter(parameters=sorted(unknown))
        repeated = [name for name, values in request.query_params.lists() if len(values) > 1]
        if repeated:
            raise RepeatedParameter(parameters=sorted(repeated))
        for name, filter_ in self._filters().items():  # the library takes anything else as not given
            if isinstance(filter_, BooleanFilter) and request.query_params.get(name, "true") not in _BOOLEANS:
                raise NotBoolean(parameter=name)

    def _filters(self) -> Mapping[str, object]:
        return getattr(getattr(self, "filterset_class", None), "base_filters", {})

    def known_parameters(self) -> frozenset[str]:
        """Return the query parameters that a read of this address knows; a change knows none."""
        return self.parameters | frozenset(self._filters())

    def _answer(self, request: Request) -> Response:
        handler = getattr(self, str(request.method).lower(), self.http_method_not_allowed)
        if not isinstance(request.auth, Caller):
            return self._checked(handler)
        caller = request.auth
        with context.acting(on_behalf_of=caller.on_behalf_of, session=caller.session):
            if request.method in _SAFE:
                return self._checked(handler)
            if request.method == "POST":
                return idempotency.once(
                    str(caller),
                    request,
                    functools.partial(self._checked, handler),
                    durable=self.durable,
                    secrets=self.shown_once,
                )
            if self.durable:
                return self._checked(handler)
            with transaction.atomic():
                return self._checked(handler)

    def _checked(self, handler: Callable[..., Response]) -> Response:
        """Run the handler, with a proof where the row asks for one; what asked too little of its object is undone."""
        if self.row.needs_proof():
            self.look_first()
            self.weigh(weighs=True)
        response = handler(self.request, *self.args, **self.kwargs)
        asked_too_little = self.row.related and not self._permitted and self.request.method not in _SAFE
        if asked_too_little or (self.row.proven == WEIGHTY and not self._weighed):
            raise ObjectNotChecked(type(self).__name__)
        return response

    def handle_exception(self, exc: Exception) -> Response:
        """Answer with a problem document, and record the refusal once: the transaction of the change is gone by now."""
        response, refusal = problems.response(exc)
        by = self.request.auth.principal if isinstance(self.request.auth, Caller) else None
        if response.status_code < problems.FAILURES:
            changes = self.request.method not in _SAFE
            try:
                problems.record(refusal, response.status_code, by=by, about=self.about, changes=changes)
            except DatabaseError as error:  # what cannot be recorded is not answered either
                response, _ = problems.response(error)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response["Allow"] = ", ".join(self.allowed_methods)  # RFC 9110 section 15.5.6
        response.exception = True
        return response

    def finalize_response(
        self,
        request: Request,
        response: Any,  # noqa: ANN401 - what a handler returned
        *args: Any,  # noqa: ANN401 - as above
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> Response:
        """Render a problem under its own media type, whatever the caller accepts."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if getattr(final, "exception", False):
            final.accepted_renderer, final.accepted_media_type = problems.ProblemRenderer(), problems.MEDIA_TYPE
            final.content_type = problems.MEDIA_TYPE
        return final

    def find[M: Model](self, rows: QuerySet[M], **key: Any) -> M:  # noqa: ANN401 - a lookup
        """Return the one row that the caller sees under this key. Raises NotFound, for what exists unseen as well."""
        row = rows.filter(**key).first()
        if row is None:
            raise NotFound
        return row

    def permit(self, thing: object, *about: str) -> None:
        """Check that the caller may do this to this object, and remember the links that a refusal will name."""
        self.about = list(about)
        permissions.permit(self.caller, self.row, thing)
        self._permitted = True

    def look_first(self) -> None:
        """Refuse a caller without the right, before they are asked for a proof. The role alone decides here.

        An address that is open to anybody finds its object first. Raises NotFound, Forbidden.
        """

    def weigh(self, *, weighs: bool) -> None:
        """Say whether what is done is of high risk: then it needs a fresh proof. Raises as reauthentication.check."""
        self._weighed = True
        if weighs and self._doubt is not None:
            raise self._doubt

    @functools.cached_property
    def _doubt(self) -> DomainError | None:
        """What is wrong with the proof that came with this request: looked at once, as a code counts once."""
        try:
            reauthentication.check(self.request, self.caller)
        except DomainError as doubt:
            return doubt
        return None

    def body(self, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """Return the validated body. Raises the framework's ValidationError, and Unstorable."""
        checked = serializer(data=self.request.data, context=self.get_serializer_context())
        checked.is_valid(raise_exception=True)
        data: dict[str, Any] = checked.validated_data
        if not strict.is_storable(data):  # in a field of any form: those of text have refused it by name
            raise Unstorable
        return data


def _join(traced: RequestTrace, caller: object) -> None:
    """Go on in the trace that the caller's token carries; what the caller names itself comes first."""
    if isinstance(caller, Caller) and caller.trace:
        traced.join(caller.trace)
        context.note_session_trace(caller.trace)


def _source(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))
