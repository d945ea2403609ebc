"""Addresses of the console: decisions explained."""

from typing import Final

from django.urls import URLPattern, path

from governance.decisions import pages

PAGES: Final[list[URLPattern]] = [
    path("decisions/why/", pages.why_page, name="why"),
    path("decisions/who-can/", pages.who_can_page, name="who-can"),
    path("decisions/what-if/", pages.what_if_list, name="what-if-list"),
    path("decisions/what-if/grants/<uuid:pk>/", pages.of_grant, name="what-if-grant"),
    path("decisions/what-if/<uuid:pk>/", pages.what_if_page, name="what-if-page"),
]
