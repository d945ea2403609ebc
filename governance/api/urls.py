"""The addresses of floor 3 under /api/v1."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from . import requests

PREFIX: Final = "api/v1/"

urlpatterns: list[URLPattern] = [
    path(PREFIX + "requests", requests.Requests.as_view(), name="requests"),
    path(PREFIX + "requests/<uuid:asked>", requests.One.as_view(), name="request"),
    path(PREFIX + "requests/<uuid:asked>/approve", requests.Approve.as_view(), name="request-approve"),
    path(PREFIX + "requests/<uuid:asked>/deny", requests.Deny.as_view(), name="request-deny"),
    path(PREFIX + "requests/<uuid:asked>/narrow", requests.Narrow.as_view(), name="request-narrow"),
    path(PREFIX + "requests/<uuid:asked>/cancel", requests.Cancel.as_view(), name="request-cancel"),
]
