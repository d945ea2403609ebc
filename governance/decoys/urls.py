"""Addresses of the console: decoys."""

from typing import Final

from django.urls import URLPattern, path

from governance.decoys import pages

PAGES: Final[list[URLPattern]] = [
    path("decoys/", pages.listing, name="decoy-list"),
    path("decoys/plant/", pages.plant, name="decoy-plant"),
    path("decoys/<uuid:decoy>/", pages.detail, name="decoy-page"),
]
