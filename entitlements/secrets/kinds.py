"""The kinds of credentials that open an upstream: what each is made of, and each form in which it could come back.

Settings are no secrets: they are shown. The one secret of a credential is its value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote_plus

import msgspec
from django.conf import settings as site

from entitlements import addresses
from entitlements.errors import DomainError
from entitlements.secrets.models import Secret

from . import private_keys

REMOVED: Final = b"[removed]"
AUTHORIZATION: Final = "Authorization"
SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT = "client_secret_basic", "client_secret_post", "private_key_jwt"
"""How a client authenticates at a token endpoint (OpenID Connect Core 1.0, section 9)."""
CLIENT_AUTHENTICATION: Final = (SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT)
SYSTEM_NETWORK: Final = "system"
TOKEN_NETWORKS: Final = (SYSTEM_NETWORK,)
"""Over which network the token endpoint is reached: that of the system; without the setting as any other address."""
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_SHORTEST, _LONGEST, _LONGEST_SETTING = 8, 8192, 500
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "cookie", "te", "upgrade"}
)


class CredentialMalformed(DomainError):
    """A credential must have 8 to 8192 printable ASCII characters, and its header must be an ordinary one."""

    code, status = "credential_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a kind. Of `choices` the first is the default where there is one; else a pattern is named."""

    name: str
    is_required: bool = False
    choices: tuple[str, ...] = ()
    has_default: bool = True
    pattern: re.Pattern[str] = _PRINTABLE
    is_address: bool = False


_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_AT_THE_TOKEN_ENDPOINT: Final = (
    Setting("issuer", is_address=True),
    Setting("token_url", is_address=True),
    Setting("scope", pattern=_SCOPE),
    Setting("resource", is_address=True),
    Setting("token_network", choices=TOKEN_NETWORKS, has_default=False),
)
_OF_ASSERTIONS: Final = (Setting("audience"), Setting("algorithm"), Setting("key_id"))
_AWS_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")

SETTINGS: Final[Mapping[str, tuple[Setting, ...]]] = {
    Secret.Kind.BEARER: (),
    Secret.Kind.HEADER: (),
    Secret.Kind.BASIC: (Setting("username", is_required=True, pattern=re.compile(r"[\x20-\x39\x3b-\x7e]+")),),
    Secret.Kind.OAUTH_CLIENT: (
        Setting("client_id", is_required=True),
        Setting("client_authentication", choices=CLIENT_AUTHENTICATION),
        *_AT_THE_TOKEN_ENDPOINT,
        *_OF_ASSERTIONS,
    ),
    Secret.Kind.JWT_BEARER: (
        Setting("client_id", is_required=True),
        Setting("subject"),
        *_AT_THE_TOKEN_ENDPOINT,
        *_OF_ASSERTIONS,
    ),
    Secret.Kind.OAUTH_USER: (
        Setting("client_id", is_required=True),
        Setting("client_authentication", choices=CLIENT_AUTHENTICATION),
        Setting("issuer", is_required=True, is_address=True),
        Setting("authorization_url", is_address=True),
        Setting("token_url", is_address=True),
        Setting("revocation_url", is_address=True),
        Setting("scope", pattern=_SCOPE),
        Setting("resource", is_address=True),
        *_OF_ASSERTIONS,
    ),
    Secret.Kind.AWS_SIGV4: (
        Setting("access_key_id", is_required=True, pattern=re.compile(r"[A-Za-z0-9]{8,128}")),
        Setting("region", is_required=True, pattern=_AWS_NAME),
        Setting("service", is_required=True, pattern=_AWS_NAME),
    ),
}
"""The settings of each kind. Of `issuer` and `token_url` a credential has one; that of accounts needs the issuer."""


def checked(kind: str, value: str, header: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a credential without the empty ones. Raises CredentialMalformed with the `field`."""
    if kind not in SETTINGS:
        raise CredentialMalformed(field="kind")
    _check_header(kind, header)
    given = {name: text for name, text in settings.items() if text}
    known = {setting.name: setting for setting in SETTINGS[kind]}
    if unknown := sorted(given.keys() - known.keys()):
        raise CredentialMalformed(f"A credential of this kind has no {unknown[0]}.", field=unknown[0])
    for setting in known.values():
        _check_setting(setting, given)
    _check_endpoints(kind, given)
    _check_value(kind, value, given)
    return given


def has_private_key(kind: str, settings: Mapping[str, str]) -> bool:
    """Say whether the secret of a credential is a private key."""
    return kind == Secret.Kind.JWT_BEARER or settings.get("client_authentication") == PRIVATE_KEY_JWT


def static_value(kind: str, secret: str, settings: Mapping[str, str]) -> str:
    """Return what is sent with each request; empty where each request is authorized by itself."""
    match kind:
        case Secret.Kind.BEARER:
            return f"Bearer {secret}"
        case Secret.Kind.HEADER:
            return secret
        case Secret.Kind.BASIC:
            return f"Basic {_basic(settings['username'], secret)}"
    return ""


def forms(kind: str, secret: str, settings: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return each form of a secret that must not come back from an upstream."""
    if has_private_key(kind, settings):
        return private_keys.fragments(secret)
    encoded = [_basic(settings["username"], secret)] if "username" in settings else []
    encoded += [client_basic(settings["client_id"], secret)] if "client_id" in settings else []
    return (*(text.encode() for text in encoded), secret.encode())


def client_basic(client_id: str, secret: str) -> str:
    """Return how a client names itself with a secret in the header Authorization (RFC 6749 section 2.3.1)."""
    return _basic(quote_plus(client_id), quote_plus(secret))


def removed(text: bytes, secrets: Iterable[bytes]) -> bytes:
    r"""Return a JSON text without these secrets, written in whichever way: `/` is also `\/` and any letter `\u....`.

    Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError when the text is not JSON.
    """
    written = {secret: msgspec.json.encode(secret.decode())[1:-1] for secret in secrets}
    if b"\\u" in text or b"\\/" in text or any(as_json != secret for secret, as_json in written.items()):
        plain = msgspec.json.encode(msgspec.json.decode(text))
        text = plain if any(each in plain for each in written.values()) else text
    for each in written.values():
        text = text.replace(each, REMOVED) if each in text else text
    return text


def last_four(kind: str, secret: str, settings: Mapping[str, str]) -> str:
    """Return what people see of a secret: its last characters, and of a private key those of its thumbprint."""
    return private_keys.thumbprint(secret)[-4:] if has_private_key(kind, settings) else secret[-4:]


def _basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


def _check_header(kind: str, header: str) -> None:
    is_ours = header.lower() in _OURS or header.lower().startswith("mcp-")
    if not _HEADER.fullmatch(header) or is_ours:
        raise CredentialMalformed(field="header")
    if kind not in (Secret.Kind.BEARER, Secret.Kind.HEADER) and header != AUTHORIZATION:
        raise CredentialMalformed("A credential of this kind is sent as Authorization.", field="header")


def _check_setting(setting: Setting, given: dict[str, str]) -> None:
    """Check one setting, and give it its default. Raises CredentialMalformed."""
    value = given.get(setting.name)
    if value is None and setting.choices and setting.has_default:
        given[setting.name] = setting.choices[0]
    if value is None:
        if setting.is_required:
            raise CredentialMalformed(f"A credential of this kind needs {setting.name}.", field=setting.name)
        return
    if setting.choices and value not in setting.choices:
        raise CredentialMalformed(f"{setting.name} is one of {', '.join(setting.choices)}.", field=setting.name)
    if len(value) > _LONGEST_SETTING or not setting.pattern.fullmatch(value):
        raise CredentialMalformed(f"{setting.name} holds a character that cannot be sent.", field=setting.name)
    if setting.is_address and not _is_address(value):
        message = f"{setting.name} is an https address without user name and fragment."
        raise CredentialMalformed(message, field=setting.name)


def _check_endpoints(kind: str, given: Mapping[str, str]) -> None:
    if kind in (Secret.Kind.OAUTH_CLIENT, Secret.Kind.JWT_BEARER) and ("token_url" in given) == ("issuer" in given):
        raise CredentialMalformed("Give the issuer or the token endpoint, and not both.", field="token_url")
    if kind != Secret.Kind.OAUTH_USER:
        return
    if ("authorization_url" in given) != ("token_url" in given) or ("revocation_url" in given) > ("token_url" in given):
        message = "Give both the authorization endpoint and the token endpoint, or neither: then metadata names them."
        raise CredentialMalformed(message, field="authorization_url")


def _is_address(value: str) -> bool:
    parts = addresses.parts(value)
    schemes = {"https", "http"} if site.DEMO else {"https"}
    return bool(parts and parts.scheme in schemes and parts.hostname and not parts.username and not parts.fragment)


def _check_value(kind: str, value: str, settings: Mapping[str, str]) -> None:
    if not _SHORTEST <= len(value) <= _LONGEST:
        raise CredentialMalformed(field="value")
    if not has_private_key(kind, settings):
        if not _PRINTABLE.fullmatch(value):
            raise CredentialMalformed(field="value")
        if settings.keys() & {"algorithm", "key_id", "audience"}:
            raise CredentialMalformed(
                "Only a private key has an algorithm, a key id and an audience.", field="algorithm"
            )
        return
    try:
        _, algorithms = private_keys.read(value)
    except private_keys.BadPrivateKey as why:
        raise CredentialMalformed(str(private_keys.BadPrivateKey.__doc__), field="value") from why
    if settings.get("algorithm", algorithms[0]) not in algorithms:
        raise CredentialMalformed(f"This key signs with {' or '.join(algorithms)}.", field="algorithm")
