"""What forms offer to be picked by its short name."""

from __future__ import annotations

from typing import Final

from entitlements.people.models import Group

_MOST: Final = 500


def groups() -> list[tuple[str, str]]:
    """Return the groups that a field offers, by short name; any other may be typed."""
    return list(Group.objects.order_by("slug").values_list("slug", "name")[:_MOST])
