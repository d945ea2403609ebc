"""Review subjects that are not grants: how each kind is found, cut, restored, made final and verified."""

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
"""Each kind of subject that is not a grant. Access and delegations are grants; `remediation` handles them."""

__all__ = ["SUBJECTS", "Cut", "Kind", "kind_of"]


def kind_of(item: ReviewItem) -> Kind | None:
    """Return the functions for an item's subject; None where the item is about grants."""
    return SUBJECTS.get(item.subject_kind)
