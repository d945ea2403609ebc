"""What is sent to a token endpoint for a credential, and what its answer means: OAuth client credentials, JWT bearer.

Sources: RFC 6749 sections 2.3.1, 4.4 and 5, RFC 7523 sections 2.1 and 2.2, RFC 8707.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from joserfc import jwt

from entitlements import strict
from entitlements.secrets import kinds, private_keys, vault
from entitlements.secrets.models import Secret

from . import egress

LARGEST_ANSWER: Final = 64 * 1024
CLIENT_CREDENTIALS: Final = "client_credentials"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 120
_USUAL_SECONDS: Final = 300
"""How long a token is used whose life the endpoint does not name (RFC 6749 section 5.1 recommends that it does)."""
_LONGEST_SECONDS: Final = 24 * 3600
_MARGIN: Final = timedelta(seconds=60)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{8,8192}=*")
"""What may stand in the header Authorization (RFC 6750 section 2.1), and is long enough to be found in an answer."""
_ERROR: Final = re.compile(r"[a-z_]{1,64}")


class TokenUnavailable(egress.Unreachable):
    """The system's token endpoint gave no access token. Check its address, then try again."""


class TokenRefused(TokenUnavailable):
    """The system's token endpoint refused the credential. Its owner checks the client, its scope and its secret."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The form that goes to a token endpoint, and the header that names the client."""

    form: Mapping[str, str] = field(repr=False)
    authorization: str = field(default="", repr=False)

    @property
    def body(self) -> bytes:
        """The form as it is sent."""
        return urlencode(self.form).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        named = {"Authorization": self.authorization} if self.authorization else {}
        return {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **named}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of an upstream: renewed from `renew_at` on, not used from `ends_at` on."""

    value: str = field(repr=False)
    renew_at: datetime
    ends_at: datetime


def token_endpoint(document: object, issuer: str) -> str:
    """Return the token endpoint that metadata names; its issuer is compared exactly. Raises TokenUnavailable."""
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise TokenUnavailable("The metadata of the system's issuer is of another issuer.")
    endpoint = document.get("token_endpoint")
    if not isinstance(endpoint, str):
        raise TokenUnavailable("The metadata of the system's issuer names no token endpoint.")
    return endpoint


def write(credential: vault.Credential, endpoint: str, now: datetime) -> TokenRequest:
    """Write the request of a credential of the kinds `oauth_client` and `jwt_bearer`."""
    settings = credential.settings
    form = {name: settings[name] for name in ("scope", "resource") if name in settings}
    if credential.kind == Secret.Kind.JWT_BEARER:
        return TokenRequest({"grant_type": JWT_BEARER, "assertion": _assertion(credential, endpoint, now), **form})
    return as_client(credential, endpoint, {**form, "grant_type": CLIENT_CREDENTIALS}, now)


def as_client(credential: vault.Credential, endpoint: str, form: Mapping[str, str], now: datetime) -> TokenRequest:
    """Write a request to an endpoint of an authorization server, at which the client authenticates in its own way."""
    settings = credential.settings
    client_id, secret = settings["client_id"], credential.secret.decode()
    match settings["client_authentication"]:
        case kinds.SECRET_BASIC:
            return TokenRequest(form, f"Basic {kinds.client_basic(client_id, secret)}")
        case kinds.SECRET_POST:
            return TokenRequest({**form, "client_id": client_id, "client_secret": secret})
    named = {"client_id": client_id, "client_assertion_type": CLIENT_ASSERTION}
    return TokenRequest({**form, **named, "client_assertion": _assertion(credential, endpoint, now)})


def read(status: int, body: bytes, now: datetime) -> Token:
    """Read the answer of a token endpoint. Raises TokenRefused with its error code, TokenUnavailable."""
    document = granted(status, body)
    life = lifetime(document.get("expires_in", _USUAL_SECONDS))
    return Token(document["access_token"], now + life - min(_MARGIN, life / 5), now + life)


def granted(status: int, body: bytes) -> dict[str, Any]:
    """Return what a token endpoint answered, with an access token that can be sent. Raises as `read`."""
    document = document_of(body)
    if status != HTTPStatus.OK:
        raise refusal(status, document)
    value, kind = document.get("access_token"), document.get("token_type")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenUnavailable("The system's token endpoint answered without an access token that can be sent.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenUnavailable("The system's token endpoint gave a token that is not a bearer token.")
    return document


def refusal(status: int, document: Mapping[str, Any]) -> TokenUnavailable:
    """Return what an answer with another status says: TokenRefused where it blames what was sent."""
    error = document.get("error")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return TokenRefused(error=error if isinstance(error, str) and _ERROR.fullmatch(error) else "unnamed")
    return TokenUnavailable(token_status=status)


def lifetime(given: object, longest: int = _LONGEST_SECONDS) -> timedelta:
    """Read the life of a token; some endpoints write the number as a text."""
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = int(given[:10])
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
        raise TokenUnavailable("The system's token endpoint gave a token that has expired.")
    return timedelta(seconds=min(given, longest))


def document_of(body: bytes) -> dict[str, Any]:
    """Return the object that an answer holds; an empty one for anything else."""
    try:
        document = strict.loads(body, largest=LARGEST_ANSWER)
    except strict.NotStrictJson:
        return {}
    return document if isinstance(document, dict) else {}


def _assertion(credential: vault.Credential, endpoint: str, now: datetime) -> str:
    """Sign an assertion that is good for one request. Its audience is the issuer, where that is known."""
    settings = credential.settings
    key, algorithms = private_keys.read(credential.secret.decode())
    algorithm = settings.get("algorithm", algorithms[0])
    at = int(now.timestamp())
    claims = {
        "iss": settings["client_id"],
        "sub": settings.get("subject", settings["client_id"]),
        "aud": settings.get("audience") or settings.get("issuer") or endpoint,
        "iat": at,
        "exp": at + ASSERTION_SECONDS,
        "jti": uuid4().hex,
    }
    if credential.kind == Secret.Kind.JWT_BEARER and "scope" in settings:
        claims["scope"] = settings["scope"]  # some endpoints read it here alone
    header = {"alg": algorithm, "typ": "JWT", "kid": settings.get("key_id") or key.thumbprint()}
    return jwt.encode(header, claims, key, algorithms=[algorithm])
