"""Upstream credentials in reviews: a removal withholds the credential, and deletes it when the removal is final.

The deadline withholds none: that would stop every agent at that system. The credential itself is changed at the system.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from entitlements.catalog.models import System
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind


def _existing(keys: Collection[str]) -> set[str]:
    slugs = {key.rpartition(":")[0] for key in keys}
    rows = Secret.objects.filter(system__slug__in=slugs, withheld_at=None).values_list("system__slug", "fingerprint")
    return {f"{slug}:{fingerprint}" for slug, fingerprint in rows}


def _system_secret(item: ReviewItem) -> tuple[System, str]:
    slug, _, fingerprint = item.subject_key.rpartition(":")
    return System.objects.get(slug=slug), fingerprint


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    system, fingerprint = _system_secret(item)
    return {"withheld": vault.withhold(system, fingerprint, by=cut.by, reason=cut.reason)}


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    system, fingerprint = _system_secret(item)
    return before["withheld"] and vault.resume(system, fingerprint, by=cut.by, reason=cut.reason)


def _finish(item: ReviewItem, cut: Cut) -> None:
    system, fingerprint = _system_secret(item)
    vault.forget(system, fingerprint, by=cut.by, reason=cut.reason)


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    """Check that the gateway would send no credential, or another one."""
    system, fingerprint = _system_secret(item)
    opened = vault.open_for(system)
    is_sent = opened is not None and vault.fingerprint(opened.secret) == fingerprint
    return [{"ask": "credential", "system": system.slug, "allowed": is_sent, "holds": not is_sent}]


KIND = Kind(_existing, _cut, _probe, _undo, _finish)
