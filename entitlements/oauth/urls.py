"""What stands on the issuers' own host beside metadata and keys (`documents.py`): a page, and the way to the edge.

Machine endpoints have no trailing slash; the edge answers them (`entitlements/edge/issuer.py`).
"""

from django.urls import path

from . import pages, relay, system_pages

urlpatterns = [
    path("idp/authorize", pages.Authorize.as_view(), name="idp-authorize"),
    path("idp/token", relay.forward),
    path("idp/introspect", relay.forward),
    path("idp/revoke", relay.forward),
    path("idp/register", relay.register),
    path("as/<slug:system>/authorize", system_pages.Authorize.as_view(), name="system-authorize"),
    path("authorize/<slug:system>", system_pages.Authorize.as_view()),  # where the edge leads who was sent there
    path("as/<slug:system>/token", relay.forward),
    path("as/<slug:system>/introspect", relay.forward),
    path("as/<slug:system>/revoke", relay.forward),
    path("as/<slug:system>/register", relay.register),
]
