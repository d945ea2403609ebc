"""What is sent to a system's authorization server with a person, and what its answer must be.

Sources: RFC 6749 section 4.1, RFC 7636 (PKCE), RFC 9207 (`iss`), RFC 9700 sections 2.1 and 4.4 (mix-up).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from . import errors

ANSWER: Final = ("state", "code", "iss", "error")
"""The parameters of an answer that count; one that is there twice is none (RFC 6749 section 3.1)."""
_LONGEST_CODE: Final = 4096


class Endpoints(msgspec.Struct, frozen=True):
    """An authorization server: `names_itself` says that its answers carry `iss`, so that one without is refused."""

    issuer: str
    authorization_url: str
    token_url: str
    revocation_url: str = ""
    names_itself: bool = False
    introspection_url: str = ""


class Pending(msgspec.Struct, frozen=True):
    """What a sign-in under way must know when its answer comes: `chosen` are (client, agent) by primary key."""

    endpoints: Endpoints
    client_id: str
    verifier: str
    chosen: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class SignInAnswer:
    """The answer of an authorization server, as the browser brought it, at the address with this path."""

    path: str
    browser: str
    person: int
    state: str = ""
    code: str = ""
    iss: str = ""
    error: str = ""


def read_answer(query: Mapping[str, list[str]], path: str, browser: str, person: int) -> SignInAnswer:
    """Read the parameters of an answer. Raises AccountSignInUnknown where one that counts is there twice."""
    if any(len(query.get(name, [])) > 1 for name in ANSWER):
        raise errors.AccountSignInUnknown
    return SignInAnswer(path, browser, person, **{name: query.get(name, [""])[0] for name in ANSWER})


def digest(text: str) -> str:
    """Return under what the database keeps a text that must come back."""
    return hashlib.sha256(f"connected-account\n{text}".encode()).hexdigest()


def redirect_key(system: int) -> str:
    """Return the part of the redirect address that is this system's alone (RFC 9700 section 4.4.2).

    It is known before a client is registered at the authorization server, and is no secret.
    """
    return hashlib.sha256(f"redirect of connected accounts\n{system}".encode()).hexdigest()[:20]


def host_of(url: str) -> str:
    """Return the part of a system's address to which an account's tokens are sent, and to no other."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}".lower()


def challenge(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def authorization_address(pending: Pending, settings: Mapping[str, str], redirect_uri: str, state: str) -> str:
    """Return where the person's browser is sent; parameters that the endpoint has of its own stay."""
    own = {name: settings[name] for name in ("scope", "resource") if name in settings}
    asked = {
        "response_type": "code",
        "client_id": pending.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge(pending.verifier),
        "code_challenge_method": "S256",
        **own,
    }
    split = urlsplit(pending.endpoints.authorization_url)
    kept = [pair for pair in parse_qsl(split.query, keep_blank_values=True) if pair[0] not in asked]
    return urlunsplit((split.scheme, split.netloc, split.path, urlencode([*kept, *asked.items()]), ""))


def check_answer(answer: SignInAnswer, pending: Pending, *, person: int, browser: str, path: str) -> str:
    """Return the code of an answer to the sign-in of this person, in this browser, at this path.

    `browser` is a digest. Raises AccountSignInMismatch, AccountRedirectMismatch, AccountIssuerMismatch,
    AccountRefusedUpstream, AccountSignInUnknown.
    """
    if answer.person != person or not hmac.compare_digest(digest(answer.browser), browser):
        raise errors.AccountSignInMismatch
    if answer.path != path:
        raise errors.AccountRedirectMismatch
    endpoints = pending.endpoints
    if (answer.iss or endpoints.names_itself) and answer.iss != endpoints.issuer:
        raise errors.AccountIssuerMismatch
    if answer.error:
        raise errors.AccountRefusedUpstream(error=answer.error[:64])
    if not answer.code or len(answer.code) > _LONGEST_CODE:
        raise errors.AccountSignInUnknown
    return answer.code


def endpoints_of(document: object, issuer: str) -> Endpoints:
    """Read metadata (RFC 8414, RFC 9207); its issuer is compared exactly. Raises AccountServerUnusable."""
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise errors.AccountServerUnusable("The metadata of the system's issuer is of another issuer.")
    methods: Any = document.get("code_challenge_methods_supported", ["S256"])
    if not isinstance(methods, list) or "S256" not in methods:
        raise errors.AccountServerUnusable("The system's authorization server does not know PKCE with S256.")
    names = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint")
    authorization_url, token_url, revocation_url, introspection_url = (_text(document.get(name, "")) for name in names)
    if not authorization_url or not token_url:
        raise errors.AccountServerUnusable("The metadata of the system's issuer names no endpoints for people.")
    names_itself = document.get("authorization_response_iss_parameter_supported") is True
    return Endpoints(issuer, authorization_url, token_url, revocation_url, names_itself, introspection_url)


def missing(chosen: Iterable[tuple[int, int]], offered: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return what was chosen and is not offered."""
    return set(chosen) - set(offered)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
