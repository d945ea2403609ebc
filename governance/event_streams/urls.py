"""Addresses of the console: streams of security events."""

from typing import Final

from django.urls import URLPattern, path

from governance.event_streams import pages

_PAGE: Final = "settings/event-streams/"
PAGES: Final[list[URLPattern]] = [
    path(_PAGE, pages.listing, name="event-streams-page"),
    path(f"{_PAGE}receivers/add/", pages.add_receiver, name="event-receiver-add"),
    path(f"{_PAGE}receivers/<uuid:receiver>/", pages.decide_receiver, name="event-receiver-decide"),
    path(f"{_PAGE}polls/add/", pages.add_poll, name="signal-poll-add"),
    path(f"{_PAGE}polls/<uuid:poll>/", pages.decide_poll, name="signal-poll-decide"),
    path(f"{_PAGE}<uuid:stream>/", pages.stream_page, name="event-stream-page"),
]
