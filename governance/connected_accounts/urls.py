"""Addresses of the console: connected accounts."""

from typing import Final

from django.urls import URLPattern, path

from governance.connected_accounts import pages

PAGES: Final[list[URLPattern]] = [
    path("connected-accounts/<slug:slug>/", pages.own, name="connected-account-page"),
    path(
        "connected-accounts/<slug:slug>/<slug:token>/callback",
        pages.callback,
        name="connected-account-callback",
    ),
    path("connected-accounts/<uuid:pk>/end/", pages.end, name="account-disconnect"),
    path("systems/<slug:slug>/connected-accounts/", pages.at_system, name="system-accounts"),
]
