"""Addresses of the console: risk signals, responses to them, detectors of drift, and streams of security events."""

from typing import Final

from django.urls import URLPattern, path

from governance.event_streams import urls as event_streams
from governance.risk import pages

PAGES: Final[list[URLPattern]] = [
    path("risk-signals/", pages.listing, name="risk-signals"),
    path("risk-signals/drift/", pages.drift_detectors, name="drift-detectors-page"),
    path("risk-signals/drift/<slug:detector>/", pages.drift_detector, name="drift-detector-page"),
    path("risk-signals/<uuid:signal>/", pages.detail, name="risk-signal-page"),
    path("settings/signal-responses/", pages.responses, name="signal-responses-page"),
    path("settings/signal-responses/propose/", pages.propose, name="signal-response-propose"),
    path("settings/signal-responses/<uuid:response>/", pages.decide, name="signal-response-decide"),
    *event_streams.PAGES,
]
