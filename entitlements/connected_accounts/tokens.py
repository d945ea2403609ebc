"""The tokens of a connected account: sealed for its row, asked for and revoked at the system's authorization server.

Sources: RFC 6749 sections 4.1.3, 5 and 6, RFC 7009.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec

from audit import clock
from entitlements import addresses
from entitlements.connected_accounts import errors, rules
from entitlements.connected_accounts.rules import Endpoints
from entitlements.secrets import seal, vault
from entitlements.secrets.models import Secret
from entitlements.strict import NotStrictJson
from entitlements.upstream import egress, token_requests
from entitlements.upstream.token_requests import TokenRefused, TokenUnavailable

SECONDS: Final = 10.0
"""How long an endpoint may take to answer."""
GONE: Final = "invalid_grant"
"""The error that says that a code or refresh token is over (RFC 6749 section 5.2); others blame the client."""
_LONGEST: Final = 8192
_MARGIN_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 400 * 24 * 3600


class Revoked(StrEnum):
    """What became of tokens at their authorization server."""

    REVOKED = "revoked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class AccountTokens(msgspec.Struct, frozen=True):
    """What is sealed of an account, with where it is sent, refreshed and revoked, so that a row's change moves nothing.

    Times are epoch seconds; `ends` is None where the server names no end.
    """

    access: str
    refresh: str
    obtained: float
    ends: float | None
    endpoints: Endpoints
    client_id: str
    host: str

    def __repr__(self) -> str:
        return "AccountTokens(***)"

    @property
    def is_fresh(self) -> bool:
        """Whether the access token lasts: renewed a minute, at most a fifth of its life, before its end."""
        if self.ends is None:
            return True
        return clock.now().timestamp() < self.ends - min(_MARGIN_SECONDS, (self.ends - self.obtained) / 5)

    @property
    def is_usable(self) -> bool:
        """Whether the access token has not ended."""
        return self.ends is None or clock.now().timestamp() < self.ends

    def is_of(self, credential: vault.Credential | None, url: str) -> bool:
        """Whether a system has the credential, as the client, and the host that these tokens were given to."""
        return self.is_of_client(credential) and self.is_of_host(url)

    def is_of_host(self, url: str) -> bool:
        """Whether a system's address is at the host that these tokens were given to."""
        return self.host == rules.host_of(url)

    def is_of_client(self, credential: vault.Credential | None) -> bool:
        """Whether a system's credential is still the client that these tokens were given to."""
        if credential is None or credential.kind != Secret.Kind.OAUTH_USER:
            return False
        named = (credential.settings["issuer"], credential.settings["client_id"])
        return named == (self.endpoints.issuer, self.client_id)


_read: Final = msgspec.json.Decoder(AccountTokens)


def place(account: UUID) -> str:
    """Return what the tokens of an account are bound to, so that they open in no other row."""
    return f"connected-account:{account}"


def sealed(tokens: AccountTokens, account: UUID) -> bytes:
    """Seal the tokens of an account."""
    return seal.seal(msgspec.json.encode(tokens), place(account))


def opened(text: bytes, account: UUID) -> AccountTokens:
    """Open the tokens of an account, for the gateway, which sends them, and to end them. Raises SealBroken."""
    return _read.decode(seal.unseal(text, place(account)))


async def endpoints(settings: Mapping[str, str]) -> Endpoints:
    """Return the endpoints that a credential names, or the metadata of its issuer. Raises AccountServerUnusable."""
    issuer = settings["issuer"]
    if "token_url" in settings:
        return Endpoints(
            issuer, settings["authorization_url"], settings["token_url"], settings.get("revocation_url", "")
        )
    for address in reversed(addresses.metadata_of(issuer)):
        try:
            document = await egress.fetch_json(address)
        except (egress.Unreachable, egress.ForbiddenAddress, NotStrictJson):
            continue
        found = rules.endpoints_of(document, issuer)
        named = (found.authorization_url, found.token_url, found.revocation_url, found.introspection_url)
        for url in filter(None, named):
            egress.check_url(url)
        return found
    raise errors.AccountServerUnusable("The metadata of the system's issuer cannot be read.")


async def redeem(
    credential: vault.Credential, pending: rules.Pending, code: str, redirect_uri: str, url: str
) -> tuple[AccountTokens, str]:
    """Redeem a code for a system at `url`: returns the tokens and their scope.

    Raises TokenRefused, TokenUnavailable, ForbiddenAddress.
    """
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    form["code_verifier"] = pending.verifier
    return await _ask(credential, pending.endpoints, form, rules.host_of(url))


async def refresh(credential: vault.Credential, held: AccountTokens) -> AccountTokens:
    """Refresh; a server that rotates gives another refresh token, else the one before stays. Raises as `redeem`."""
    form = {"grant_type": "refresh_token", "refresh_token": held.refresh}
    return (await _ask(credential, held.endpoints, form, held.host, held.refresh))[0]


async def revoke(credential: vault.Credential, held: AccountTokens) -> Revoked:
    """Revoke the tokens at their server, the refresh token first (RFC 7009 section 2.1). Says what it answered.

    Raises TokenUnavailable, ForbiddenAddress where it did not answer, and may be asked again.
    """
    url = held.endpoints.revocation_url
    if not url:
        return Revoked.UNKNOWN
    results = [await _revoke(credential, url, *each) for each in _named(held)]
    return Revoked.REFUSED if Revoked.REFUSED in results else Revoked.REVOKED


async def introspect(credential: vault.Credential, url: str, token: str, hint: str) -> bool | None:
    """Ask whether a token is active (RFC 7662); None where the server does not say so to this client.

    Raises TokenUnavailable, ForbiddenAddress where it did not answer.
    """
    status, body = await _send(credential, url, {"token": token, "token_type_hint": hint})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TokenUnavailable(token_status=status)
    active = token_requests.document_of(body).get("active") if status == HTTPStatus.OK else None
    return active if isinstance(active, bool) else None


async def _revoke(credential: vault.Credential, url: str, token: str, hint: str) -> Revoked:
    form = {"token": token, "token_type_hint": hint}
    status, body = await _send(credential, url, form)
    if status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
        return Revoked.REVOKED
    if isinstance(token_requests.refusal(status, token_requests.document_of(body)), TokenRefused):
        return Revoked.REFUSED
    raise TokenUnavailable(token_status=status)


def _named(held: AccountTokens) -> list[tuple[str, str]]:
    refreshed = [(held.refresh, "refresh_token")] if held.refresh else []
    return [*refreshed, (held.access, "access_token")]


async def _ask(
    credential: vault.Credential, server: Endpoints, form: dict[str, str], host: str, refresh_before: str = ""
) -> tuple[AccountTokens, str]:
    now = clock.now()
    if "resource" in credential.settings:
        form["resource"] = credential.settings["resource"]
    document = token_requests.granted(*await _send(credential, server.token_url, form))
    renewed = document.get("refresh_token") or refresh_before
    if not isinstance(renewed, str) or len(renewed) > _LONGEST or not renewed.isascii():
        raise TokenUnavailable("The system's token endpoint gave a refresh token that cannot be sent.")
    given = (document["access_token"], renewed, now.timestamp(), _ends(document, now))
    scope = document.get("scope", credential.settings.get("scope", ""))
    return AccountTokens(*given, server, credential.settings["client_id"], host), scope if isinstance(
        scope, str
    ) else ""


async def _send(credential: vault.Credential, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
    asked = token_requests.as_client(credential, url, form, clock.now())
    try:
        return await egress.submit(
            url, asked.body, asked.headers, largest=token_requests.LARGEST_ANSWER, seconds=SECONDS
        )
    except egress.Unreachable as why:
        raise TokenUnavailable("The system's authorization server did not answer.") from why


def _ends(document: Mapping[str, Any], now: datetime) -> float | None:
    if "expires_in" not in document:
        return None
    return (now + token_requests.lifetime(document["expires_in"], _LONGEST_SECONDS)).timestamp()
