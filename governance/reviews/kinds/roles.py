"""Roles in Mandate itself: a removal takes the role at once and for good; who may give it gives it again.

Silence takes none, so that nobody is locked out by it, and the last platform admin keeps the role whatever is answered.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from entitlements.errors import NotFound
from entitlements.people import roles
from entitlements.people.models import Person, RoleAssignment, RoleMapping
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind


def _there(keys: Collection[str]) -> set[str]:
    rows = RoleAssignment.objects.current().filter(person__login__in=[key.rpartition(":")[0] for key in keys])
    return {f"{login}:{role}" for login, role in rows.values_list("person__login", "role")} & set(keys)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    if item.holder is None:
        raise NotFound
    role = item.subject_key.rpartition(":")[2]
    given = RoleAssignment.objects.filter(person=item.holder, role=role).values_list("mapped_by", flat=True).first()
    roles.take_by_review(item.holder, role, by=cut.by, reason=cut.reason)
    return {"mapping": str(given) if given else ""}


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - each kind is asked alike
    """Ask as every door does whether she holds the role; what a group still gives comes back at her next sign-in."""
    login, _, role = item.subject_key.rpartition(":")
    holds = Person.objects.get(login=login).has_role(role)
    told = [{"ask": "role", "person": login, "role": role, "allowed": holds, "holds": not holds}]
    payload = item.population.values_list("payload", flat=True).first() or ""
    mappings = [row for row in RoleMapping.objects.in_force().filter(role=role) if str(row.pk) in payload]
    again = [{"ask": "sign_in", "group": row.value, "role": role, "allowed": True, "holds": False} for row in mappings]
    return [*told, *again]


KIND = Kind(_there, _cut, _probe)
