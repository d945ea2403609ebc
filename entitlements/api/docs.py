"""The pages of the OpenAPI document, open to strangers as the documentation is."""

from __future__ import annotations

import functools
from typing import Any

from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from entitlements.permissions.matrix import MATRIX, Matrix

from . import permissions


class _Public(BasePermission):
    """Lets strangers read what the matrix calls public."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ANN401 - the framework's signature
        if str(request.method).lower() not in view.http_method_names:
            raise MethodNotAllowed(str(request.method))  # the framework adds what is allowed
        match = request.resolver_match
        row = permissions.row_of(view.matrix, match.view_name if match else "", str(request.method))
        return row is not None and row.public


class _Generator(SchemaGenerator):
    """Makes the document once a process and language: it takes seconds, and a stranger may ask for it."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 - the framework's signature
        return _document(get_language())


@functools.cache
def _document(_language: str | None) -> Any:  # noqa: ANN401 - as above
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):
    """GET /api/v1/schema: the OpenAPI document, public like the documentation."""

    matrix: Matrix = MATRIX
    generator_class = _Generator
    authentication_classes = ()
    permission_classes = (_Public,)
    http_method_names = ("get", "head")


@extend_schema(exclude=True)
class DocsView(SpectacularSwaggerSplitView):
    """GET /api/v1/docs: the document to read and try, with files of ours only and no inline script."""

    matrix: Matrix = MATRIX
    authentication_classes = ()
    permission_classes = (_Public,)
    http_method_names = ("get", "head")
    template_name = "api/docs.html"
    url_name = "api-schema"
