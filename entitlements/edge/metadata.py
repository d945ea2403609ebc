"""What our issuers publish: metadata (RFC 8414, OpenID Connect Discovery) and key sets (RFC 7517)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.keys import jws, signing
from entitlements.revocation import record_keys as record_keys_actions

from . import authentication, bearer, code, door, exchange

CLIENT_CREDENTIALS: Final = "client_credentials"
GRANT_PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"


def document(make: Callable[..., Mapping[str, Any] | None]) -> Callable[..., HttpResponse]:
    """Make a public view that only reads: of a function that returns a document, or None where there is none."""

    @login_not_required
    def view(request: HttpRequest, **where: str) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        try:
            content = make(**where)
        except (DatabaseError, InterfaceError) as error:
            return door.unavailable(error)
        if content is None:
            body, status, caching = {"error": "not_found"}, HTTPStatus.NOT_FOUND, "no-store"
        else:
            is_kept = content.get("keys") != []  # the first key is made with the first token, or by the sweep
            body, status = dict(content), HTTPStatus.OK
            caching = f"public, max-age={signing.JWKS_SECONDS}" if is_kept else "no-store"
        headers = {"Cache-Control": caching, "Access-Control-Allow-Origin": "*"}
        return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)

    return view


@document
def idp_metadata() -> Mapping[str, Any]:
    """Describe the identity issuer."""
    issuer = addresses.issuer(addresses.IDP)
    return {
        **_endpoints(issuer, [*authentication.METHODS, "none"]),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [code.GRANT, exchange.GRANT],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "identity_chaining_requested_token_types_supported": [exchange.ID_JAG],
        "scopes_supported": ["openid"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [jws.ES256],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "jti"],
    }


@document
def system_metadata(system: str) -> Mapping[str, Any] | None:
    """Describe the authorization server of one system. It never says whom it trusts (EMA-R-13).

    Nothing answers at its `authorization_endpoint`; clients of MCP refuse metadata without one.
    """
    if not System.objects.filter(slug=system).exists():
        return None
    return {
        **_endpoints(addresses.issuer(addresses.issuer_path(system)), [*authentication.METHODS]),
        "response_types_supported": [],
        "grant_types_supported": [bearer.GRANT, CLIENT_CREDENTIALS],
        "authorization_grant_profiles_supported": [GRANT_PROFILE],
        "code_challenge_methods_supported": ["S256"],
    }


@document
def idp_jwks() -> Mapping[str, Any]:
    """Publish the identity issuer's keys."""
    return signing.jwks(addresses.IDP)


@document
def record_keys() -> Mapping[str, Any]:
    """Publish the keys that signed what is kept: for receipts and evidence packs, never for tokens."""
    return record_keys_actions.published()


@document
def system_jwks(system: str) -> Mapping[str, Any] | None:
    """Publish the keys of a system's authorization server."""
    return signing.jwks(addresses.issuer_path(system)) if System.objects.filter(slug=system).exists() else None


def _endpoints(issuer: str, methods: list[str]) -> dict[str, Any]:
    confidential = [*authentication.METHODS]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks.json",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
    }
