"""What stands on the issuers' own host: metadata and keys, the page of a browser sign-in, and the way to the edge.

Machine endpoints have no trailing slash; the edge answers them (`entitlements/edge/issuer.py`).
"""

from django.urls import path

from entitlements.revocation import record_keys

from . import documents, pages, relay, system_pages

WELL_KNOWN = ".well-known"

urlpatterns = [
    path(f"{WELL_KNOWN}/oauth-authorization-server/idp", documents.published),
    path(f"{WELL_KNOWN}/openid-configuration/idp", documents.published),
    path(f"idp/{WELL_KNOWN}/openid-configuration", documents.published),
    path("idp/authorize", pages.Authorize.as_view(), name="idp-authorize"),
    path("idp/token", relay.forward),
    path("idp/introspect", relay.forward),
    path("idp/revoke", relay.forward),
    path("idp/jwks.json", documents.published),
    path(record_keys.PATH, documents.record_keys),
    path(f"{WELL_KNOWN}/oauth-authorization-server/as/<slug:system>", documents.published),
    path("as/<slug:system>/authorize", system_pages.Authorize.as_view(), name="system-authorize"),
    path("as/<slug:system>/jwks.json", documents.published),
    path("as/<slug:system>/token", relay.forward),
    path("as/<slug:system>/introspect", relay.forward),
    path("as/<slug:system>/revoke", relay.forward),
]
