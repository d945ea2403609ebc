"""Addresses of the console: sessions."""

from typing import Final

from django.urls import URLPattern, path

from governance.agents.pages import agents
from governance.sessions.pages import session, session_list

PAGES: Final[list[URLPattern]] = [
    path("sessions/", session_list.listing, name="session-list"),
    path("sessions/<uuid:session>/", session.detail, name="session-page"),
    path("sessions/<uuid:session>/end/", agents.end_session, name="end-session"),
]
