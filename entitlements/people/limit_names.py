"""The limits of admin roles as the API and the audit log name them: systems by slug, departments by name."""

from __future__ import annotations

from collections.abc import Iterable

from entitlements.catalog.models import System
from entitlements.people.role_limits import RoleLimit


def named(limit: RoleLimit) -> dict[str, list[str]]:
    """Return what a limit names."""
    rows = System.objects.filter(pk__in=limit.systems).order_by("slug")
    systems = list(rows.values_list("slug", flat=True)) if limit.systems else []
    return {"systems": systems, "departments": sorted(limit.departments)}


def by_role(held: Iterable[tuple[str, RoleLimit]]) -> dict[str, dict[str, list[str]]]:
    """Return what limited roles are limited to, by role."""
    return {role: named(limit) for role, limit in held if not limit.everything}
