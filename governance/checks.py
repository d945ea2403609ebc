"""Start-up checks of our own, beside Django's: what must not reach production."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

_OWN: Final = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))


@checks.register(checks.Tags.security, deploy=True)
def production_is_not_a_demo(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse DEMO, plain http, wildcard hosts and a Redis that asks for no password."""
    del app_configs
    found: list[checks.CheckMessage] = []
    if settings.DEMO:
        found.append(checks.Error("DEMO is on: upstreams and issuers on loopback are trusted.", id="mandate.E001"))
    if not settings.IS_HTTPS or not settings.GATEWAY_URL.startswith("https://"):
        found.append(checks.Error("CONSOLE_URL and GATEWAY_URL must start with https://.", id="mandate.E002"))
    if any(host.startswith(("*", ".")) for host in settings.ALLOWED_HOSTS):
        found.append(checks.Error("ALLOWED_HOSTS must not hold a wildcard.", id="mandate.E003"))
    if "@" not in settings.REDIS_URL.reveal():
        found.append(checks.Error("REDIS_URL holds no password: the queue is open to its network.", id="mandate.E004"))
    if any(
        network.overlaps(own) for network in settings.PRIVATE_NETWORKS for own in _OWN if network.version == own.version
    ):
        told = "PRIVATE_NETWORKS holds this machine's own or link-local addresses, where clouds keep their credentials."
        found.append(checks.Error(told, id="mandate.E008"))
    return found


@checks.register(checks.Tags.security)
def nothing_is_pickled(app_configs: Sequence[AppConfig] | None, **_: object) -> list[checks.CheckMessage]:
    """Refuse a queue, a session or a shared cache that unpickles what it finds."""
    del app_configs
    found: list[checks.CheckMessage] = []
    if settings.CELERY_ACCEPT_CONTENT != ["json"] or settings.CELERY_RESULT_BACKEND:
        found.append(checks.Error("The queue takes JSON only and keeps no results.", id="mandate.E005"))
    if "Pickle" in settings.SESSION_SERIALIZER:
        found.append(checks.Error("Sessions must not be pickled.", id="mandate.E006"))
    shared = ("redis", "memcached", "filebased", "db.")
    if any(kind in cache["BACKEND"] for cache in settings.CACHES.values() for kind in shared):
        found.append(checks.Error("Django's shared caches pickle; keep the one in memory.", id="mandate.E007"))
    return found
