"""What stands on the issuers' own host: their metadata and keys, and the page of a browser sign-in.

Machine endpoints have no trailing slash; the others are the edge's (`entitlements/edge/issuer.py`).
"""

from django.urls import path

from entitlements.revocation import record_keys

from . import documents, pages

WELL_KNOWN = ".well-known"

urlpatterns = [
    path(f"{WELL_KNOWN}/oauth-authorization-server/idp", documents.published),
    path(f"{WELL_KNOWN}/openid-configuration/idp", documents.published),
    path(f"idp/{WELL_KNOWN}/openid-configuration", documents.published),
    path("idp/authorize", pages.Authorize.as_view(), name="idp-authorize"),
    path("idp/jwks.json", documents.published),
    path(record_keys.PATH, documents.record_keys),
    path(f"{WELL_KNOWN}/oauth-authorization-server/as/<slug:system>", documents.published),
    path("as/<slug:system>/jwks.json", documents.published),
]
