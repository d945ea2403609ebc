"""The links by which the audit log finds what happened to a review item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from governance.reviews.items.models import ReviewItem

KINDS: Final[Mapping[str, str]] = {
    ReviewItem.Subject.CLIENT: "client",
    ReviewItem.Subject.ENTITLEMENT: "entitlement",
}
"""The kind of link for subjects that the audit log knows by the key of the item."""


NAMED: Final = (
    *("pk", "campaign__slug", "subject_kind", "subject_key"),
    *("agent__slug", "system__slug", "holder__login"),
)


def about(item: ReviewItem, grants: Iterable[object] = ()) -> list[str]:
    """Return the links of an item in the audit log."""
    agent, system = item.agent.slug if item.agent else None, item.system.slug if item.system else None
    holder = item.holder.login if item.holder else None
    links = links_from(item.pk, item.campaign.slug, item.subject_kind, item.subject_key, agent, system, holder)
    return [*links, *(f"grant:{grant}" for grant in grants)]


def links_from(
    pk: UUID, campaign: str, kind: str, key: str, agent: str | None, system: str | None, holder: str | None
) -> list[str]:
    """Return the links of an item, made from its parts."""
    return [
        f"campaign:{campaign}",
        f"item:{pk}",
        *([f"agent:{agent}"] if agent else []),
        *([f"system:{system}"] if system else []),
        *([f"{link}:{key}"] if (link := KINDS.get(kind)) else []),
        *([f"person:{holder}"] if holder else []),
    ]
