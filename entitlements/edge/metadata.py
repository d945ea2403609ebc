"""What our issuers publish: metadata (RFC 8414, OpenID Connect Discovery) and key sets (RFC 7517).

It stands on the issuers' own host and on the edge, by this one function; the endpoints that it names are the edge's.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from entitlements import addresses, authentication
from entitlements.authorization_details import details
from entitlements.catalog.models import System
from entitlements.decisions.reads import Reads
from entitlements.dpop import proofs
from entitlements.gateway.http import JSON, NO_STORE, Answer, encode
from entitlements.gateway.origins import cors
from entitlements.keys import in_use, jws, signing

from . import client_authentication
from .grant_types import authorization_code, client_credentials, exchange, jwt_bearer
from .sign_in import refresh

GRANT_PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"
_SYSTEM: Final = """
SELECT y.id, y.kind FROM entitlements_system y
WHERE y.slug = %s AND NOT EXISTS (SELECT FROM entitlements_vendor v WHERE v.system_id = y.id)
"""
_ANSWERS: Final = {
    "response_modes_supported": ["query"],
    "authorization_response_iss_parameter_supported": True,
    "client_id_metadata_document_supported": True,
}
"""How a page of ours answers a client, and that its identifier may be the address of its metadata document."""
READING: Final = frozenset({"GET", "HEAD"})
CACHED: Final = (b"cache-control", f"public, max-age={signing.JWKS_SECONDS}".encode())
"""What stands in an answer that others may keep."""
_ALLOW: Final = b"GET, HEAD"

type Document = Callable[[Reads], Coroutine[Any, Any, Mapping[str, Any] | None]]


async def answer(method: str, find: Document, reads: Reads) -> Answer:
    """Answer a request for a document, in either lane."""
    if method == "OPTIONS":
        return cors.preflight(_ALLOW)
    if method not in READING:
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"", ((b"allow", _ALLOW), *cors.ANY_ORIGIN))
    document = await find(reads)
    if document is None:
        return Answer(HTTPStatus.NOT_FOUND, encode({"error": "not_found"}), (JSON, NO_STORE, *cors.ANY_ORIGIN))
    is_cached = document.get("keys") != []  # the first key is made with the system, or by the sweep
    return Answer(HTTPStatus.OK, encode(document), (JSON, CACHED if is_cached else NO_STORE, *cors.ANY_ORIGIN))


async def idp(reads: Reads) -> Mapping[str, Any]:
    """Describe the identity issuer."""
    del reads
    return {
        **_endpoints(addresses.IDP, [*client_authentication.METHODS, "none"]),
        "response_types_supported": ["code"],
        **_ANSWERS,
        **_registration(addresses.IDP),
        "grant_types_supported": [authorization_code.GRANT, refresh.GRANT, exchange.GRANT],
        "code_challenge_methods_supported": ["S256"],
        "identity_chaining_requested_token_types_supported": [exchange.ID_JAG],
        "authorization_details_types_supported": [details.TYPE],
        "scopes_supported": ["openid", authorization_code.OFFLINE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [jws.ES256],
        "acr_values_supported": [*authentication.OWN],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "jti", "sid"],
    }


async def system(reads: Reads, system: str) -> Mapping[str, Any] | None:
    """Describe the authorization server of one system. It never says whom it trusts (EMA-R-13).

    People sign in at each but our own (`mandate`). There nothing answers at the `authorization_endpoint`, without which
    clients of MCP refuse metadata.
    """
    found = await kind(reads, system)
    if found is None:
        return None
    signs_in = found != System.Kind.BUILTIN or system == addresses.ALL
    own = [jwt_bearer.GRANT, client_credentials.GRANT]
    methods = [*client_authentication.METHODS, "none"] if signs_in else [*client_authentication.METHODS]
    described = {
        **_endpoints(addresses.issuer_path(system), methods),
        "response_types_supported": ["code"] if signs_in else [],
        "grant_types_supported": [authorization_code.GRANT, refresh.GRANT, *own] if signs_in else own,
        "authorization_grant_profiles_supported": [GRANT_PROFILE],
        "authorization_details_types_supported": [details.TYPE],
        "code_challenge_methods_supported": ["S256"],
    }
    if not signs_in:
        return described
    values = {"acr_values_supported": [*authentication.OWN]}
    return {**described, **_ANSWERS, **values, **_registration(addresses.issuer_path(system))}


async def idp_keys(reads: Reads) -> Mapping[str, Any]:
    """Publish the identity issuer's keys."""
    return await in_use.jwks(reads, addresses.IDP)


async def system_keys(reads: Reads, system: str) -> Mapping[str, Any] | None:
    """Publish the keys of a system's authorization server."""
    return await in_use.jwks(reads, addresses.issuer_path(system)) if await kind(reads, system) else None


async def kind(reads: Reads, system: str) -> str | None:
    """Return the kind of a system that has an issuer of ours; None where there is none."""
    rows = await reads.kept(_SYSTEM, [system], lambda rows: [("system_id", rows[0][0])])
    return rows[0][1] if rows else None


def _endpoints(path: str, methods: list[str]) -> dict[str, Any]:
    issuer, edge, confidential = addresses.issuer(path), addresses.endpoints(path), [*client_authentication.METHODS]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{edge}/token",
        "jwks_uri": f"{issuer}/jwks.json",
        "introspection_endpoint": f"{edge}/introspect",
        "revocation_endpoint": f"{edge}/revoke",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
        "dpop_signing_alg_values_supported": list(proofs.ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": sorted(jws.ALGORITHMS),
    }


def _registration(path: str) -> dict[str, str]:
    """Name where clients register themselves, only while they may."""
    return {"registration_endpoint": f"{addresses.endpoints(path)}/register"} if settings.DYNAMIC_REGISTRATION else {}
