"""Addresses of the console: risk signals and the responses to them, and streams of security events."""

from typing import Final

from django.urls import URLPattern, path

from governance.event_streams import urls as event_streams
from governance.risk import pages

PAGES: Final[list[URLPattern]] = [
    path("risk-signals/", pages.listing, name="risk-signals"),
    path("risk-signals/<uuid:signal>/", pages.detail, name="risk-signal-page"),
    path("settings/signal-responses/", pages.responses, name="signal-responses-page"),
    path("settings/signal-responses/propose/", pages.propose, name="signal-response-propose"),
    path("settings/signal-responses/<uuid:response>/", pages.decide, name="signal-response-decide"),
    *event_streams.PAGES,
]
