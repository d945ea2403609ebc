"""Addresses of the console: decisions explained."""

from typing import Final

from django.urls import URLPattern, path

from governance.decisions.pages import questions

PAGES: Final[list[URLPattern]] = [
    path("decisions/why/", questions.why_page, name="why"),
    path("decisions/who-can/", questions.who_can_page, name="who-can"),
    path("decisions/what-if/", questions.what_if_list, name="what-if-list"),
    path("decisions/what-if/grants/<uuid:pk>/", questions.of_grant, name="what-if-grant"),
    path("decisions/what-if/<uuid:pk>/", questions.what_if_page, name="what-if-page"),
]
