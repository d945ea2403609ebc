"""What else is reviewed beside access: how each such thing is found, cut, put back, made final and proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from governance.reviews.items.models import ReviewItem

from . import agents, clients, entitlements, roles, tokens, upstreams
from .kind import Cut, Kind

SUBJECTS: Final[Mapping[str, Kind]] = {
    ReviewItem.Subject.AGENT: agents.KIND,
    ReviewItem.Subject.CLIENT: clients.KIND,
    ReviewItem.Subject.API_TOKEN: tokens.KIND,
    ReviewItem.Subject.UPSTREAM_SECRET: upstreams.KIND,
    ReviewItem.Subject.ENTITLEMENT: entitlements.KIND,
    ReviewItem.Subject.ROLE: roles.KIND,
}
"""Each subject that is no grant; access and delegations are, and go by `removing` and `probing` themselves."""

__all__ = ["SUBJECTS", "Cut", "Kind", "of"]


def of(item: ReviewItem) -> Kind | None:
    """Return how an item is dealt with that is about no grant; None for one that is."""
    return SUBJECTS.get(item.subject_kind)
