"""The addresses of the transmitter, beside the issuers'. Machine endpoints have no trailing slash."""

from typing import Final

from django.urls import path

from . import pages

_WELL_KNOWN: Final = ".well-known"

urlpatterns = [
    path(f"{_WELL_KNOWN}/ssf-configuration/ssf", pages.configuration),
    path(f"{_WELL_KNOWN}/oauth-authorization-server/ssf", pages.authorization_server),
    path(f"{_WELL_KNOWN}/oauth-protected-resource/ssf", pages.protected_resource),
    path("ssf/jwks.json", pages.jwks),
    path("ssf/token", pages.token),
    path("ssf/streams", pages.configure),
    path("ssf/streams/<uuid:stream>/poll", pages.poll),
    path("ssf/status", pages.status),
    path("ssf/verify", pages.verify),
]
