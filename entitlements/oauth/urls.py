"""The addresses of our issuers. Machine endpoints have no trailing slash."""

from django.urls import path

from entitlements.revocation import record_keys

from . import documents, endpoints, inspection, pages

WELL_KNOWN = ".well-known"

urlpatterns = [
    path(f"{WELL_KNOWN}/oauth-authorization-server/idp", documents.idp_metadata),
    path(f"{WELL_KNOWN}/openid-configuration/idp", documents.idp_metadata),
    path(f"idp/{WELL_KNOWN}/openid-configuration", documents.idp_metadata),
    path("idp/authorize", pages.Authorize.as_view(), name="idp-authorize"),
    path("idp/token", endpoints.idp_token),
    path("idp/jwks.json", documents.idp_jwks),
    path(record_keys.PATH, documents.record_keys),
    path("idp/introspect", inspection.idp_introspect),
    path("idp/revoke", inspection.idp_revoke),
    path(f"{WELL_KNOWN}/oauth-authorization-server/as/<slug:system>", documents.system_metadata),
    path("as/<slug:system>/token", endpoints.system_token),
    path("as/<slug:system>/jwks.json", documents.system_jwks),
    path("as/<slug:system>/introspect", inspection.system_introspect),
    path("as/<slug:system>/revoke", inspection.system_revoke),
]
