"""What opens a system, in reviews: a removal withholds its credential, and deletes it when the removal is final.

A client certificate is deleted at once, for good. The deadline withholds none: that would stop every agent at that
system. The credential itself is changed at the system.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.networks import certificates
from entitlements.networks.models import ClientCertificate
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind

_OF_A_CERTIFICATE: Final = 64
"""How long the fingerprint of a certificate is; that of a secret is shorter (`vault.fingerprint`)."""


def _existing(keys: Collection[str]) -> set[str]:
    slugs = {key.rpartition(":")[0] for key in keys}
    secrets = Secret.objects.filter(system__slug__in=slugs, withheld_at=None)
    shown = ClientCertificate.objects.filter(system__slug__in=slugs)
    rows = [*secrets.values_list("system__slug", "fingerprint"), *shown.values_list("system__slug", "fingerprint")]
    return {f"{slug}:{fingerprint}" for slug, fingerprint in rows}


def _opened_by(item: ReviewItem) -> tuple[System, str]:
    slug, _, fingerprint = item.subject_key.rpartition(":")
    return System.objects.get(slug=slug), fingerprint


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    system, fingerprint = _opened_by(item)
    if len(fingerprint) != _OF_A_CERTIFICATE:
        return {"withheld": vault.withhold(system, fingerprint, by=cut.by, reason=cut.reason)}
    try:
        certificates.forget(system, by=cut.by, reason=cut.reason, fingerprint=fingerprint)
    except NotFound:  # another one by now is left alone
        return {"withheld": False, "forgotten": False}
    return {"withheld": False, "forgotten": True}


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    system, fingerprint = _opened_by(item)
    return before["withheld"] and vault.resume(system, fingerprint, by=cut.by, reason=cut.reason)


def _finish(item: ReviewItem, cut: Cut) -> None:
    system, fingerprint = _opened_by(item)
    vault.forget(system, fingerprint, by=cut.by, reason=cut.reason)


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    """Check that the gateway would send no credential and show no certificate, or another one."""
    system, fingerprint = _opened_by(item)
    if len(fingerprint) == _OF_A_CERTIFICATE:
        is_shown = ClientCertificate.objects.filter(system=system, fingerprint=fingerprint).exists()
        return [{"ask": "client_certificate", "system": system.slug, "allowed": is_shown, "holds": not is_shown}]
    opened = vault.open_for(system)
    is_sent = opened is not None and vault.fingerprint(opened.secret) == fingerprint
    return [{"ask": "credential", "system": system.slug, "allowed": is_sent, "holds": not is_sent}]


KIND = Kind(_existing, _cut, _probe, _undo, _finish)
