"""The group that is asked where the chain of a review finds no reviewer: at least two active people.

That is checked when the group is named, by a trigger as well, and again each time a reviewer is looked for.
"""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError
from entitlements.people.models import Group

from . import facts


class FallbackUnfit(DomainError):
    """Only a group of at least two active people can be asked where no other reviewer is left."""

    code, status = "fallback_group_unfit", HTTPStatus.UNPROCESSABLE_ENTITY


def fit(slug: str) -> Group | None:
    """Find a group that may be asked; no name is no group. Raises FallbackUnfit."""
    if not slug:
        return None
    group = Group.objects.filter(slug=slug).first()
    if group is None or not facts.fallback_groups([group.pk])[group.pk].members:
        raise FallbackUnfit(group=slug[:64])
    return group
