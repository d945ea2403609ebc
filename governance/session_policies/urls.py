"""Addresses of the console: session policies."""

from typing import Final

from django.urls import URLPattern, path

from governance.session_policies import pages

PAGES: Final[list[URLPattern]] = [
    path("settings/session-policies/", pages.listing, name="session-policies-page"),
    path("settings/session-policies/propose/", pages.propose, name="session-policy-propose"),
    path("settings/session-policies/<uuid:session_policy>/", pages.decide, name="session-policy-decide"),
]
