"""Addresses of the console: changes that need two people."""

from typing import Final

from django.urls import URLPattern, path

from governance.proposals import pages

PAGES: Final[list[URLPattern]] = [
    path("change-proposals/", pages.listing, name="change-proposal-list"),
    path("change-proposals/<uuid:proposal>/", pages.decide, name="change-proposal-decide"),
]
