"""What a client says of itself, by the names of RFC 7591 section 2: in a document at its own address, or registered.

Only what this server uses is read, and all of it is checked, since any program can have written it. A logo is never
shown. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from entitlements.errors import DomainError
from entitlements.keys import public_keys

from . import redirects

MOST_REDIRECTS: Final = 20
LONGEST_URL: Final = 1_000
LONGEST_NAME: Final = 200
LONGEST_SCOPE: Final = 1_000
"""Characters."""
NONE: Final = "none"
PRIVATE_KEY_JWT: Final = "private_key_jwt"
_METHODS: Final = (NONE, PRIVATE_KEY_JWT)
_SECRETS: Final = ("client_secret", "client_secret_expires_at")


class BadMetadata(DomainError):
    """The client's metadata cannot be used."""

    code, status = "bad_client_metadata", HTTPStatus.UNPROCESSABLE_ENTITY


class BadRedirect(BadMetadata):
    """A redirect URI starts with https://, or leads back to this computer by http://127.0.0.1, [::1] or localhost."""

    code = "bad_redirect_uri"


class SecretGiven(BadMetadata):
    """The metadata holds a secret, which any program can read now. Replace it, and publish a public key instead."""

    code = "secret_in_client_metadata"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a client says of itself. All of it is claimed; `auth` is `none` or `private_key_jwt`.

    With `private_key_jwt` it has public keys: `jwks` as given, or `jwks_uri` where they are published.
    """

    redirect_uris: tuple[str, ...]
    auth: str = NONE
    name: str = ""
    jwks: Mapping[str, Any] = field(default_factory=dict)
    jwks_uri: str = ""
    scope: str = ""
    client_uri: str = ""

    @property
    def redirect_hosts(self) -> frozenset[str]:
        """Where the client has people sent: scheme, host and port of each address; a loopback counts without a port."""
        return frozenset(redirect_host(uri) for uri in self.redirect_uris)


def read(document: object) -> Metadata:
    """Read metadata, a JSON object; names that are not known here are left alone (RFC 7591 section 2).

    Left out, the method is `private_key_jwt` where keys are given and `none` where not: a shared secret is never made.
    Raises BadMetadata, BadRedirect, SecretGiven, and of the keys public_keys.BadKey and PrivateKeyGiven.
    """
    if not isinstance(document, Mapping):
        raise BadMetadata("The metadata is no JSON object.")
    if any(name in document for name in _SECRETS):
        raise SecretGiven
    _check_flow(document)
    jwks, jwks_uri = _keys(document)
    auth = document.get("token_endpoint_auth_method", PRIVATE_KEY_JWT if jwks or jwks_uri else NONE)
    if auth not in _METHODS:
        raise BadMetadata("The client signs in with private_key_jwt, or as a public client with none.")
    if auth == PRIVATE_KEY_JWT and not (jwks or jwks_uri):
        raise BadMetadata("A client that signs in with private_key_jwt publishes its keys: jwks or jwks_uri.")
    return Metadata(
        redirect_uris=_redirect_uris(document.get("redirect_uris")),
        auth=auth,
        name=_text(document, "client_name", LONGEST_NAME),
        jwks=jwks if auth == PRIVATE_KEY_JWT else {},
        jwks_uri=jwks_uri if auth == PRIVATE_KEY_JWT else "",
        scope=_text(document, "scope", LONGEST_SCOPE),
        client_uri=_url(document, "client_uri"),
    )


def redirect_host(uri: str) -> str:
    """Return scheme, host and port of a redirect URI; of a loopback, whose port is any, scheme and host."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname if redirects.is_loopback(uri) else parts.netloc}"


def parts_of(url: str) -> SplitResult | None:
    """Take apart an https address, or http to a loopback, of printable ASCII; None for any other.

    It has a host, and no user name and no fragment.
    """
    if len(url) > LONGEST_URL or not all("!" <= letter <= "~" for letter in url) or set(url) & set('"<>\\^`{|}'):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # read only when it is asked for
    except ValueError:
        return None
    is_usable = parts.hostname and "@" not in parts.netloc and "#" not in url and "*" not in parts.netloc
    if not is_usable or not (url.startswith("https://") or redirects.is_loopback(url)):
        return None
    return parts


def _redirect_uris(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_REDIRECTS:
        raise BadRedirect(f"redirect_uris is a list of 1 to {MOST_REDIRECTS} addresses.")
    if not all(isinstance(uri, str) and parts_of(uri) for uri in given):
        raise BadRedirect
    return tuple(dict.fromkeys(given))


def _check_flow(document: Mapping[str, Any]) -> None:
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        given = document.get(name, [needed])
        if not isinstance(given, list) or needed not in given:
            raise BadMetadata(f"{name} is a list that holds {needed}.")


def _keys(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if "jwks" in document and "jwks_uri" in document:
        raise BadMetadata("Give either jwks or jwks_uri (RFC 7591 section 2).")
    if "jwks" not in document:
        return {}, _url(document, "jwks_uri")
    public_keys.check_registered(document["jwks"])
    return {"keys": document["jwks"]["keys"]}, ""


def _url(document: Mapping[str, Any], name: str) -> str:
    given = document.get(name, "")
    if given != "" and not (isinstance(given, str) and parts_of(given)):
        raise BadMetadata(f"{name} is an address that starts with https://.")
    return str(given)


def _text(document: Mapping[str, Any], name: str, longest: int) -> str:
    given = document.get(name, "")
    if not isinstance(given, str) or len(given) > longest or not given.isprintable():
        raise BadMetadata(f"{name} is a text of at most {longest} printable characters.")
    return given.strip()
