"""The environment decides: every variable the product reads, in one table, with readers that refuse a bad value.

Each variable may instead be given as NAME_FILE, the path of a file that holds it, the way Docker and Kubernetes mount
secrets. `docs/reference/environment.md` is written from TABLE by `python -m governance.env`.
"""

import base64
import binascii
import contextlib
import functools
import os
import re
import socket
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from entitlements.signers.options import Pkcs11Options, TransitOptions

from .clouds import TEAMS, TeamsCloud
from .variables import TABLE

YES, NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
KEY_BYTES = 32
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SIGNERS = ("database", "transit", "pkcs11")
_MOUNT = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
DEAD_HOST: Mapping[str, str] = {
    "connect_timeout": "3",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""libpq's settings for a host that vanished without a word: 3 s until the next one is tried, 11 s for a connection."""
WRITABLE = {"read-write", "primary"}
"""Values of target_session_attrs that never take a standby. What was revoked may not have reached a standby yet."""


class BadEnvironmentError(Exception):
    """An environment variable is missing or has a bad value; the message is a sentence for the operator."""


class Secret[T]:
    """A value that never shows itself: `str` and `repr` are ***, and only `reveal()` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value; each call is a place to look at in a review."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("A secret is not pickled.")


def text(name: str) -> str:
    """Return the value of a documented variable. Raises BadEnvironmentError when it is required and missing."""
    row = TABLE[name]
    value = os.environ.get(name)
    if path := os.environ.get(f"{name}_FILE", ""):
        if value is not None:
            raise BadEnvironmentError(f"{name} and {name}_FILE are both set; keep one.")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise BadEnvironmentError(f"{name}_FILE names {path}, which cannot be read: {problem}.") from problem
    if not value and row.default is None:
        raise BadEnvironmentError(f"{name} is not set. {row.meaning} Set {name} or {name}_FILE.")
    return value or row.default or ""


def first_set(name: str, otherwise: str) -> str:
    """Return the first of two variables if it has a value, else the name of the second."""
    return name if text(name) else otherwise


def flag(name: str) -> bool:
    """Return a yes or a no."""
    value = text(name).lower()
    if value not in YES | NO:
        raise BadEnvironmentError(f"{name} must be true or false.")
    return value in YES


def one_of(name: str, *allowed: str) -> str:
    """Return one of a few words."""
    value = text(name)
    if value not in allowed:
        raise BadEnvironmentError(f"{name} must be one of {', '.join(allowed)}.")
    return value


def count(name: str) -> int:
    """Return a whole number of at least one."""
    value = text(name)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", value):
        raise BadEnvironmentError(f"{name} must be a whole number, at least 1.")
    return int(value)


def up_to(name: str, most: int) -> int:
    """Return a whole number from 0 to `most`."""
    value = text(name)
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) > most:
        raise BadEnvironmentError(f"{name} must be a whole number from 0 to {most}.")
    return int(value)


def rising_days(**named: str) -> dict[str, timedelta]:
    """Return lengths of time by step, each of the variable named for it and longer than the one before."""
    days = [count(name) for name in named.values()]
    if any(later <= earlier for earlier, later in pairwise(days)):
        *before, last = named.values()
        raise BadEnvironmentError(f"{', '.join(before)} and {last} must each be longer than the one before.")
    return {step: timedelta(days=each) for step, each in zip(named, days, strict=True)}


def listed(name: str) -> list[str]:
    """Return the parts of a list separated by commas."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def secret(name: str, *, at_least: int = 0) -> Secret[str]:
    """Return a secret of at least so many characters. Its repr is ***, and no error shows it."""
    value = text(name)
    if len(value) < at_least:
        raise BadEnvironmentError(f"{name} must have at least {at_least} characters.")
    return Secret(value)


def key(name: str, *, is_needed: bool = True) -> Secret[bytes]:
    """Return 32 bytes given in base64url, with or without padding; none where it may be left out and is."""
    is_given = any(os.environ.get(each) for each in (name, f"{name}_FILE"))
    value = text(name).rstrip("=") if is_needed or is_given else ""
    if not value and (not is_needed or TABLE[name].default is not None):
        return Secret(b"")
    key = b""
    if re.fullmatch(r"[A-Za-z0-9_-]+", value):  # Python's decoder would take characters of other alphabets too
        with contextlib.suppress(binascii.Error):
            key = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    if len(key) != KEY_BYTES:
        raise BadEnvironmentError(f"{name} must be {KEY_BYTES} bytes in base64url.")
    return Secret(key)


def keys(name: str, *, is_needed: bool = True) -> tuple[Secret[bytes], Secret[bytes]]:
    """Return a key and the one before it, which may both be read while the first replaces the second."""
    return key(name, is_needed=is_needed), key(f"{name}_PREVIOUS")


def _split(name: str, value: str, schemes: tuple[str, ...]) -> SplitResult:
    """Take an address apart; the message names the variable and never shows the address, which may hold a password."""
    message = f"{name} must be an address that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}."
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError as problem:
        raise BadEnvironmentError(message) from problem
    if not is_good:
        raise BadEnvironmentError(message)
    return parts


def public_url(name: str, *, allow_http: bool) -> str:
    """Return the address people and clients use: scheme and host, no path. http only on loopback unless allowed."""
    value = text(name)
    parts = _split(name, value, ("https", "http"))
    if value != f"{parts.scheme}://{parts.netloc}" or parts.username is not None:
        raise BadEnvironmentError(f"{name} must be a scheme and a host, like https://mandate.example, without a path.")
    if parts.scheme == "http" and not (allow_http or parts.hostname in LOOPBACK):
        raise BadEnvironmentError(f"{name} must start with https:// (http:// is for this machine only, or with DEMO).")
    return value


def for_this_machine_alone(flags: Mapping[str, bool], *addresses: str) -> None:
    """Refuse flags that open doors where a public address says that others come by."""
    is_public = any(urlsplit(address).hostname not in LOOPBACK for address in addresses)
    for name in (name for name, is_on in flags.items() if is_on and is_public):
        message = f"{name} is for this machine alone: CONSOLE_URL and GATEWAY_URL must then be on localhost."
        raise BadEnvironmentError(message)


def redis_url(name: str) -> Secret[str]:
    """Return the address of Redis or Valkey."""
    value = text(name)
    _split(name, value, ("redis", "rediss"))
    return Secret(value)


def database(name: str) -> dict[str, Any]:
    """Return one entry for Django's DATABASES; query parameters of the address go to libpq (sslmode, ...).

    The address may name several hosts, separated by commas, each with its port: the one that takes writes is used.
    """
    hosts, ports, address = _hosts(text(name))
    parts = _split(name, address, ("postgresql", "postgres"))
    if not parts.username or not parts.path.strip("/"):
        raise BadEnvironmentError(f"{name} must name a role and a database: postgresql://role:password@host/database.")
    options = {**DEAD_HOST, **dict(parse_qsl(parts.query))}
    if len(hosts) > 1 and options.setdefault("target_session_attrs", "read-write") not in WRITABLE:
        raise BadEnvironmentError(f"{name} must lead to the server that takes writes: leave target_session_attrs out.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": ",".join(hosts) if len(hosts) > 1 else parts.hostname,
        "PORT": ",".join(ports) if len(hosts) > 1 else str(parts.port or ""),
        "OPTIONS": options,
    }


def _hosts(address: str) -> tuple[list[str], list[str], str]:
    """Return the hosts and ports of a database address, and the address with the first of them alone."""
    before, at, rest = address.partition("://")
    netloc, slash, path = rest.partition("/")
    login, sign, hosts = netloc.rpartition("@")
    matches = [
        re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([1-9][0-9]{0,4}))?", host) for host in hosts.split(",")
    ]
    if len(matches) == 1:
        return [], [], address
    if not all(matches):
        return [], [], ""
    pairs = [(match[1].strip("[]"), match[2] or "5432") for match in matches if match]
    first = f"{before}{at}{login}{sign}{hosts.partition(',')[0]}{slash}{path}"
    return [host for host, _ in pairs], [port for _, port in pairs], first


def company_sign_in() -> dict[str, dict[str, object]]:
    """Return django-allauth's providers: the company's OpenID Connect provider, or none when OIDC_ISSUER is not set."""
    issuer = text("OIDC_ISSUER")
    if not issuer:
        return {}
    if not text("OIDC_CLIENT_ID"):
        raise BadEnvironmentError("OIDC_CLIENT_ID is not set; OIDC_ISSUER needs it.")
    _split("OIDC_ISSUER", issuer, ("https",) if not flag("DEMO") else ("https", "http"))
    app = {
        "provider_id": "company",
        "name": text("OIDC_NAME"),
        "client_id": text("OIDC_CLIENT_ID"),
        "secret": text("OIDC_CLIENT_SECRET"),
        "settings": {"server_url": issuer, "fetch_userinfo": False, "oauth_pkce_enabled": True},
    }
    return {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}


def outside(name: str) -> str:
    """Return an address outside, or nothing. Raises BadEnvironmentError."""
    if address := text(name):
        _split(name, address, ("https",) if not flag("DEMO") else ("https", "http"))
    return address


def time_stamps() -> tuple[str, str]:
    """Return the address of the time-stamping authority and the file with its roots; both empty when none is set."""
    address, roots = outside("TIME_STAMP_URL"), text("TIME_STAMP_CA_FILE")
    if address and not roots:
        raise BadEnvironmentError("TIME_STAMP_CA_FILE is not set; TIME_STAMP_URL needs it.")
    return address, roots


def slack() -> str:
    """Return the address of Slack's Web API, ending with a slash. Raises BadEnvironmentError."""
    return outside("SLACK_API_URL").rstrip("/") + "/"


def teams() -> TeamsCloud:
    """Return where Microsoft Teams is reached. Raises BadEnvironmentError."""
    return TEAMS[one_of("TEAMS_CLOUD", *TEAMS)]


def signers() -> tuple[str, TransitOptions | None, Pkcs11Options | None]:
    """Return which signer makes the next signing key, and how those outside are reached. Raises BadEnvironmentError."""
    signer = one_of("SIGNER", *_SIGNERS)
    transit, pkcs11 = _transit(), _pkcs11()
    if signer == "transit" and transit is None:
        raise BadEnvironmentError("TRANSIT_URL is not set; SIGNER=transit needs it.")
    if signer == "pkcs11" and pkcs11 is None:
        raise BadEnvironmentError("PKCS11_MODULE is not set; SIGNER=pkcs11 needs it.")
    return signer, transit, pkcs11


def _transit() -> TransitOptions | None:
    url = text("TRANSIT_URL")
    if not url:
        return None
    parts = urlsplit(public_url("TRANSIT_URL", allow_http=False))
    mount, namespace = text("TRANSIT_MOUNT").strip("/"), text("TRANSIT_NAMESPACE").strip("/")
    for name, value in (("TRANSIT_MOUNT", mount), ("TRANSIT_NAMESPACE", namespace)):
        if value and (not _MOUNT.fullmatch(value) or ".." in value.split("/")):
            raise BadEnvironmentError(f"{name} must be a path of letters, digits, dots, dashes and underscores.")
    token = functools.partial(text, "TRANSIT_TOKEN")
    return TransitOptions(parts.geturl(), mount, namespace, text("TRANSIT_CA_FILE"), token)


def _pkcs11() -> Pkcs11Options | None:
    module = text("PKCS11_MODULE")
    if not module:
        return None
    if not module.startswith("/"):
        raise BadEnvironmentError("PKCS11_MODULE must be the whole path of a library.")
    if not text("PKCS11_LABEL"):
        raise BadEnvironmentError("PKCS11_LABEL is not set; PKCS11_MODULE needs it.")
    return Pkcs11Options(module, text("PKCS11_LABEL"), functools.partial(text, "PKCS11_PIN"))


def mailers() -> dict[str, dict[str, Any]]:
    """Return Django's mailers: the one of MAIL_URL, always encrypted, or none when it is not set."""
    address = text("MAIL_URL")
    if not address:
        return {}
    if "@" not in text("MAIL_FROM"):
        raise BadEnvironmentError("MAIL_FROM must be an e-mail address; MAIL_URL needs it.")
    parts = _split("MAIL_URL", address, ("smtp", "smtps"))
    is_ssl = parts.scheme == "smtps"
    options = {
        "host": parts.hostname,
        "port": parts.port or (465 if is_ssl else 587),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_ssl": is_ssl,
        "use_tls": not is_ssl,
        "timeout": 10,
    }
    return {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return a list of networks; each is written with its length and without host bits."""
    try:
        return tuple(ip_network(part) for part in listed(name))
    except ValueError as problem:
        raise BadEnvironmentError(f"{name} must be networks like 10.20.0.0/16: {problem}.") from problem


def all_networks() -> tuple[tuple[IPv4Network | IPv6Network, ...], ...]:
    """Return the networks that may be reached, those of our proxies, and those whose programs read the registry."""
    return tuple(map(networks, ("PRIVATE_NETWORKS", "TRUSTED_PROXIES", "MCP_REGISTRY_READERS")))


def node_address() -> tuple[str, int]:
    """Read NODE_ADDRESS: an address of this machine, as a literal or as `self`, and the port."""
    value = text("NODE_ADDRESS")
    host, _, port = value.rpartition(":")
    try:
        host = socket.gethostbyname(socket.gethostname()) if host == "self" else host
        return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
    except (OSError, ValueError) as why:
        raise BadEnvironmentError(f"NODE_ADDRESS is no address with a port, such as 10.0.0.7:8002: {value}") from why


def otlp() -> tuple[str, Secret[dict[str, str]]]:
    """Return the collector's address, empty for none, and the headers of each request to it."""
    address, headers = text("OTEL_EXPORTER_OTLP_ENDPOINT"), secret("OTEL_EXPORTER_OTLP_HEADERS").reveal()
    if address:
        _split("OTEL_EXPORTER_OTLP_ENDPOINT", address, ("https", "http"))
    pairs = [each.partition("=") for each in headers.split(",") if each.strip()]
    return address, Secret({name.strip(): unquote(value.strip()) for name, _, value in pairs})


def role(name: str, default: str) -> str:
    """Return the role that a database address names, or the usual one when the address is not given here."""
    return str(database(name)["USER"]) if text(name) else default


def reference() -> str:
    """Return `docs/reference/environment.md`."""
    lines = [
        "# Environment",
        "",
        "Written from `governance/env.py` by `python -m governance.env`; a test compares the two.",
        "Each variable may be given as `NAME_FILE` instead: the path of a file that holds the value.",
        "A missing or bad value stops the start with a sentence.",
        "",
        "| variable | when not set | secret | meaning |",
        "|---|---|---|---|",
    ]
    for row in TABLE.values():
        default = "must be set" if row.default is None else f"`{row.default}`" if row.default else "empty"
        lines.append(f"| `{row.name}` | {default} | {'yes' if row.is_secret else 'no'} | {row.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs/reference/environment.md").write_text(reference(), encoding="utf-8")
