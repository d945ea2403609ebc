"""Admin roles in reviews: a removal takes the role at once and for good; an administrator can assign it again.

The deadline takes no role, so that it locks no one out, and the last platform admin keeps the role in any case.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from entitlements.errors import NotFound
from entitlements.people import roles
from entitlements.people.models import GroupMapping, Person, RoleAssignment
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind


def _existing(keys: Collection[str]) -> set[str]:
    rows = RoleAssignment.objects.current().filter(person__login__in=[key.rpartition(":")[0] for key in keys])
    return {f"{login}:{role}" for login, role in rows.values_list("person__login", "role")} & set(keys)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    if item.holder is None:
        raise NotFound
    role = item.subject_key.rpartition(":")[2]
    mapping = RoleAssignment.objects.filter(person=item.holder, role=role).values_list("mapped_by", flat=True).first()
    roles.take_by_review(item.holder, role, by=cut.by, reason=cut.reason)
    return {"mapping": str(mapping) if mapping else ""}


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    """Check whether the person still holds the role, and which group mappings give it back at their next sign-in."""
    login, _, role = item.subject_key.rpartition(":")
    holds = Person.objects.holding(role, or_limited=True).filter(login=login).exists()
    answers = [{"ask": "role", "person": login, "role": role, "allowed": holds, "holds": not holds}]
    payload = item.population.values_list("payload", flat=True).first() or ""
    mappings = [
        row
        for row in GroupMapping.objects.filter(state=GroupMapping.State.IN_FORCE, role=role)
        if str(row.pk) in payload
    ]
    returning = [
        {"ask": "sign_in", "group": row.value, "role": role, "allowed": True, "holds": False} for row in mappings
    ]
    return [*answers, *returning]


KIND = Kind(_existing, _cut, _probe)
