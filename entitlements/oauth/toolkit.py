"""django-oauth-toolkit, tamed: its code flow with our authentication and keys, hashed codes, no refresh tokens."""

# ruff: noqa: ANN401 - the toolkit and oauthlib come without types

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidScopeError
from oauthlib.openid import Server

from audit import clock
from entitlements import addresses
from entitlements.clients.models import AuthorizationCode, Client, OAuthIDToken
from entitlements.keys import signing

ID_TOKEN_SECONDS: Final = 300


def digest(code: str) -> str:
    """Return what is stored of an authorization code: codes open doors, so they are kept like passwords."""
    return hashlib.sha256(code.encode()).hexdigest()


class Validator(OAuth2Validator):
    """Answers oauthlib's questions. At the token endpoint the client is the one that our code authenticated."""

    def __init__(self, client: Client | None = None, auth_time: datetime | None = None) -> None:
        """Take the authenticated client, or none at the authorization endpoint, which needs none.

        `auth_time` is the one that the redeemed code keeps.
        """
        super().__init__()
        self.client = client
        self.auth_time = auth_time
        self.id_token = ""

    def client_authentication_required(self, *_: Any, **__: Any) -> bool:
        """Always: whether a client may be public was decided before."""
        return True

    def authenticate_client(self, request: Any, *_: Any, **__: Any) -> bool:
        """Hand the authenticated client in."""
        request.client = self.client
        return self.client is not None

    def authenticate_client_id(self, *_: Any, **__: Any) -> bool:
        """Never take a client's word for who it is."""
        return False

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Know a client only while it is active."""
        known = super().validate_client_id(client_id, request, *args, **kwargs)
        return bool(known and request.client.is_usable_now)

    def is_pkce_required(self, *_: Any) -> bool:
        """Always (RFC 9700 section 2.1.1)."""
        return True

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Client, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Ignore the scopes that are not known here (OpenID Connect Core 3.1.2.1); the token's answer names the rest.

        Raises InvalidScopeError when none is left, which is answered at the client's address.
        """
        known = [
            scope for scope in scopes if super(Validator, self).validate_scopes(client_id, [scope], client, request)
        ]
        if not known:
            raise InvalidScopeError(description="Ask for the scope openid.", request=request)
        request.scopes = known
        return True

    def validate_silent_login(self, *_: Any) -> bool:
        """Let the next question decide: whether the person is signed in is not known here."""
        return True

    def validate_silent_authorization(self, *_: Any) -> bool:
        """Never: each sign-in to a client asks the person, so `prompt=none` is answered with `consent_required`."""
        return False

    def save_authorization_code(
        self, client_id: str, code: dict[str, Any], request: Any, *args: Any, **kw: Any
    ) -> None:
        """Store the digest of the code alone, with the time of the sign-in in the session that agreed."""
        stored = digest(code["code"])
        super().save_authorization_code(client_id, {**code, "code": stored}, request, *args, **kw)
        AuthorizationCode.objects.filter(code=stored).update(auth_time=request.auth_time)

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> Any:
        """Issue no refresh token: the next sign-in asks everybody again."""
        token.pop("refresh_token", None)
        return super().save_bearer_token(token, request, *args, **kwargs)

    def get_claim_dict(self, request: Any) -> dict[str, Any]:
        """Say who signed in, by login; never by row number, and nothing personal."""
        return {"sub": request.user.login}

    def finalize_id_token(self, id_token: dict[str, Any], _token: Any, _handler: Any, request: Any) -> str:
        """Sign the ID token with the identity issuer's key. Raises ValueError when nothing says who signed in when."""
        now, auth_time = clock.now(), self.auth_time
        if auth_time is None:
            raise ValueError("An ID token says when the person signed in.")
        id_token.update(
            iss=addresses.issuer(addresses.IDP),
            sub=request.user.login,
            iat=int(now.timestamp()),
            exp=int(now.timestamp()) + ID_TOKEN_SECONDS,
            auth_time=int(auth_time.timestamp()),
            jti=str(uuid.uuid4()),
        )
        if request.nonce:
            id_token["nonce"] = request.nonce
        self.id_token = id_token["jti"]
        OAuthIDToken.objects.create(
            user=request.user,
            application=request.client,
            jti=id_token["jti"],
            scope=" ".join(request.scopes),
            expires=now + timedelta(seconds=ID_TOKEN_SECONDS),
        )
        return signing.sign(addresses.IDP, id_token, "JWT")

    def _load_id_token(self, _token: str) -> OAuthIDToken | None:
        """Find the row of the ID token that was just signed."""
        return OAuthIDToken.objects.filter(jti=self.id_token).first() if self.id_token else None


def redeem_code(client: Client, auth_time: datetime, body: list[tuple[str, str]]) -> tuple[Validator, str, int]:
    """Let the toolkit answer a code request of this client; returns the validator, the JSON text and the status."""
    validator, request = Validator(client, auth_time), HttpRequest()
    request.method, request.path = "POST", "/idp/token"
    core = _Core(body, Server(validator, **oauth2_settings.server_kwargs))
    _, _, answer, status = core.create_token_response(request)
    return validator, answer, status


class _Core(OAuthLibCore):
    """Hands oauthlib the form that we parsed, and none of the request's headers."""

    def __init__(self, body: list[tuple[str, str]], server: Server) -> None:
        super().__init__(server)
        self._body = body

    def extract_body(self, _request: HttpRequest) -> list[tuple[str, str]]:
        return self._body

    def extract_headers(self, _request: HttpRequest) -> dict[str, str]:
        return {"X_DJANGO_OAUTH_TOOLKIT_SECURE": "1"}
