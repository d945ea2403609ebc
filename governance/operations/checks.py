"""Start-up checks of our own, beside Django's: what must not reach production."""

import base64
import contextlib
import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db import Error, connection

from entitlements import hooks
from entitlements.secrets.seal import RootKey
from entitlements.trusted_issuers.models import TrustedIssuer
from governance import env

_LISTED: Final = ("/proc/net/fib_trie", "/proc/net/if_inet6")
FEWEST_BYTES: Final = 12
"""Of 32 random bytes about 30 differ; fewer than this many do once in 10^20 keys."""
FEWEST_PROXY_BITS: Final = {4: 8, 6: 7}
"""Networks for private use are as large as this and no larger: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193)."""
_MAY: Final = """
SELECT r.rolsuper OR r.rolcreaterole OR r.rolbypassrls,
       EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('events') AND pg_has_role(c.relowner, 'MEMBER')),
       coalesce(has_table_privilege(to_regclass('events'), 'UPDATE, DELETE, TRUNCATE'), false),
       coalesce(has_table_privilege(to_regclass('leaves'), 'INSERT, UPDATE, DELETE, TRUNCATE'), false)
  FROM pg_roles r WHERE r.rolname = current_user
"""
_OWN: Final = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))


@checks.register(checks.Tags.security, deploy=True)
def production_is_not_a_demo(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse DEMO, plain http, wildcard hosts and a Redis that asks for no password."""
    del app_configs
    errors: list[checks.CheckMessage] = []
    if settings.DEMO:
        errors.append(checks.Error("DEMO is on: upstreams and issuers on loopback are trusted.", id="mandate.E001"))
    if not settings.IS_HTTPS or not settings.GATEWAY_URL.startswith("https://"):
        errors.append(checks.Error("CONSOLE_URL and GATEWAY_URL must start with https://.", id="mandate.E002"))
    if any(host.startswith(("*", ".")) for host in settings.ALLOWED_HOSTS):
        errors.append(checks.Error("ALLOWED_HOSTS must not hold a wildcard.", id="mandate.E003"))
    if "@" not in settings.REDIS_URL.reveal():
        errors.append(checks.Error("REDIS_URL holds no password: the queue is open to its network.", id="mandate.E004"))
    own = (*_OWN, *_own_addresses())
    named = settings.PRIVATE_NETWORKS
    if any(
        network.version == own_network.version and network.overlaps(own_network)
        for network in named
        for own_network in own
    ):
        message = (
            "PRIVATE_NETWORKS holds this machine's own or link-local addresses, where clouds keep their credentials, "
            "or the network that it shares with the database and the queue. Name the networks of your servers alone."
        )
        errors.append(checks.Error(message, id="mandate.E008"))
    return errors


def _own_addresses() -> list[IPv4Network | IPv6Network]:
    """Return the addresses of this machine, or this container, as Linux lists them; elsewhere none."""
    try:
        routes, interfaces = (Path(file).read_text(encoding="ascii") for file in _LISTED)
    except OSError:
        return []
    hexadecimal = [line.partition(" ")[0] for line in interfaces.splitlines()]
    addresses = [
        *re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", routes),
        *(int(text, 16).to_bytes(16) for text in hexadecimal),
    ]
    return [ip_network(text) for text in addresses]


@checks.register(checks.Tags.security)
def proxies_are_ours(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse trust in large parts of the internet: a client in them could invent its address."""
    del app_configs
    return [
        checks.Error(
            f"TRUSTED_PROXIES holds {network}: any client in it could invent its address. Name your proxies alone.",
            id="mandate.E014",
        )
        for network in settings.TRUSTED_PROXIES
        if network.prefixlen < FEWEST_PROXY_BITS[network.version]
    ]


@checks.register(checks.Tags.security, deploy=True)
def visitors_are_apart(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Warn where a proxy is in front and not trusted: then all visitors have its address, and slow each other down."""
    del app_configs
    if settings.TRUSTED_PROXIES or not settings.BEHIND_TLS_PROXY:
        return []
    message = (
        "BEHIND_TLS_PROXY is on and TRUSTED_PROXIES is empty: every visitor has the proxy's address. Name the proxy."
    )
    return [checks.Warning(message, id="mandate.W001")]


@checks.register(checks.Tags.security, deploy=True)
def secrets_are_secrets(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse a key that is not random, and one secret for two purposes."""
    del app_configs
    errors: list[checks.CheckMessage] = []
    for root in RootKey:
        key: bytes = getattr(settings, root).reveal()
        if key and len(set(key)) < FEWEST_BYTES:
            message = f"{root} is not random: take 32 bytes of a random generator (scripts/install does)."
            errors.append(checks.Error(message, id="mandate.E009"))
    kept: dict[str, str] = {}
    for name, secret in _secrets().items():
        if secret and secret in kept:
            message = f"{name} is the same as {kept[secret]}: a leak of one is a leak of both. Give each its own."
            errors.append(checks.Error(message, id="mandate.E010"))
        kept.setdefault(secret, name)
    return errors


def _secrets() -> dict[str, str]:
    """Return the secrets that must differ, as text."""
    databases = {
        f"the password of {row['USER']}": str(row["PASSWORD"])
        for row in (*settings.DATABASES.values(), settings.ISSUE_DATABASE, _sealers())
        if row
    }
    return {
        "SECRET_KEY": settings.SECRET_KEY,
        **{
            str(name): base64.urlsafe_b64encode(getattr(settings, name).reveal()).decode().rstrip("=")
            for name in RootKey
        },
        "METRICS_TOKEN": settings.METRICS_TOKEN.reveal(),
        "the password of REDIS_URL": urlsplit(settings.REDIS_URL.reveal()).password or "",
        **databases,
    }


def _sealers() -> dict[str, str] | None:
    parts = urlsplit(settings.SEAL_DATABASE_URL.reveal())
    return {"USER": parts.username or "", "PASSWORD": parts.password or ""} if parts.username else None


@checks.register(checks.Tags.security, deploy=True)
def roles_are_apart(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse a database role that serves and may do more: own tables, seal the audit log, or be a superuser.

    What the role may really do is asked of the database, where it answers; `/readyz` reports one that does not.
    """
    del app_configs
    roles, errors = settings.DATABASE_ROLES, list[checks.CheckMessage]()
    for other, what in {"owner": "owns the tables", "seal": "seals the record"}.items():
        serving = (settings.FEED_DATABASE, settings.ISSUE_DATABASE)
        for role in sorted({roles["app"], *(str(each["USER"]) for each in serving)}):
            if role == roles[other]:
                message = f"The role that serves ({role}) also {what}; give it a role of its own (deploy/roles.sh)."
                errors.append(checks.Error(message, id="mandate.E011"))
    with contextlib.suppress(Error), connection.cursor() as cursor:
        cursor.execute(_MAY)
        is_super, owns, rewrites, seals = cursor.fetchone()
        may = {
            "is a superuser, makes roles or goes round row security": is_super,
            "owns the record's tables, or is a member of the role that does": owns,
            "may change or delete what is recorded": rewrites,
            "may write what the sealer alone writes": seals,
        }
        errors += [
            checks.Error(
                f"The database role that serves {what}; use {roles['app']} of deploy/roles.sh.", id="mandate.E012"
            )
            for what, is_so in may.items()
            if is_so
        ]
    return errors


@checks.register(checks.Tags.security, deploy=True)
def issuers_are_elsewhere(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse trusted issuers on this machine or over plain http, except in the demo."""
    del app_configs
    trusted = {settings.OIDC_ISSUER} - {""}
    with contextlib.suppress(Error):
        trusted |= set(TrustedIssuer.objects.filter(enabled=True).values_list("issuer", flat=True))
    return [
        checks.Error(f"The issuer {address} is on this machine, or speaks plain http: distrust it.", id="mandate.E013")
        for address in sorted(trusted)
        if not settings.DEMO and (urlsplit(address).scheme != "https" or urlsplit(address).hostname in env.LOOPBACK)
    ]


@checks.register(checks.Tags.security)
def nothing_is_pickled(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse a queue, a session or a shared cache that unpickles what it finds."""
    del app_configs
    errors: list[checks.CheckMessage] = []
    if settings.CELERY_ACCEPT_CONTENT != ["json"] or settings.CELERY_RESULT_BACKEND:
        errors.append(checks.Error("The queue takes JSON only and keeps no results.", id="mandate.E005"))
    if "Pickle" in settings.SESSION_SERIALIZER:
        errors.append(checks.Error("Sessions must not be pickled.", id="mandate.E006"))
    shared = ("redis", "memcached", "filebased", "db.")
    if any(kind in cache["BACKEND"] for cache in settings.CACHES.values() for kind in shared):
        errors.append(checks.Error("Django's shared caches pickle; keep the one in memory.", id="mandate.E007"))
    return errors


@checks.register(checks.Tags.security)
def every_guard_is_installed(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse to start while a floor asks something that nothing answers: it would refuse every change that asks."""
    del app_configs
    sentence = "Nothing answers “%s”, which must be asked before a change: governance/ties.py installs what answers."
    return [checks.Error(sentence % missing, id="mandate.E015") for missing in hooks.missing()]
