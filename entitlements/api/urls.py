"""The addresses of floor 2 under /api/v1, without trailing slashes: a POST must never be redirected."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from . import docs, grants

PREFIX: Final = "api/v1/"

urlpatterns: list[URLPattern] = [
    path(PREFIX + "schema", docs.SchemaView.as_view(), name="api-schema"),
    path(PREFIX + "docs", docs.DocsView.as_view(), name="api-docs"),
    path(PREFIX + "grants", grants.Grants.as_view(), name="grants"),
    path(PREFIX + "grants/<uuid:grant>", grants.One.as_view(), name="grant"),
    path(PREFIX + "grants/<uuid:grant>/revoke", grants.Revoke.as_view(), name="grant-revoke"),
    path(PREFIX + "grants/<uuid:grant>/suspend", grants.Suspend.as_view(), name="grant-suspend"),
    path(PREFIX + "grants/<uuid:grant>/restore", grants.Restore.as_view(), name="grant-restore"),
]
