"""A vendor by FastMCP: a program of its own, with an authorization server that has an issuer of its own.

Its tool says who is acted for, as its server read it out of our ID-JAG. Runs as `python -m`, and takes its settings as
arguments: where it listens, its issuer, whom it trusts, by which keys, and the identifier of our client there.
"""

from __future__ import annotations

import sys

from fastmcp import FastMCP
from fastmcp.server.auth import IdentityAssertion, OAuthProxy
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp.server.dependencies import get_access_token


def build(base: str, issuer: str, trusted: str, keys: str, client: str) -> FastMCP:
    """Make the server."""
    auth = OAuthProxy(
        upstream_authorization_endpoint="https://sign-in.example/authorize",
        upstream_token_endpoint="https://sign-in.example/token",
        upstream_client_id=client,
        upstream_client_secret="unused-here",
        token_verifier=StaticTokenVerifier({}),
        base_url=base,
        issuer_url=issuer,
        jwt_signing_key="a-secret-of-the-vendor-for-its-tokens",
        identity_assertion=IdentityAssertion(
            trusted_issuers=[trusted], jwks_uris={trusted: keys} if keys else None, algorithm="ES256"
        ),
    )
    server = FastMCP("maps", auth=auth)

    @server.tool
    def whoami() -> dict[str, object]:
        """Say who is acted for."""
        token = get_access_token()
        assert token is not None
        return {"sub": token.claims.get("sub"), "client": token.client_id, "scopes": token.scopes}

    return server


if __name__ == "__main__":
    port, *settings = sys.argv[1:]
    build(*settings).run(transport="http", host="127.0.0.1", port=int(port), show_banner=False, log_level="ERROR")
