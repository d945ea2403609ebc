"""Personal API tokens in reviews: a removal revokes the token at once and for good; its owner can make another.

The deadline revokes none: that could not be undone, and each token expires by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from audit import clock
from entitlements.errors import NotFound
from entitlements.people import people
from entitlements.people.models import ApiToken
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind


def _existing(keys: Collection[str]) -> set[str]:
    rows = ApiToken.objects.filter(pk__in=[int(key) for key in keys], revoked_at=None, expires_at__gt=clock.now())
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    if item.holder is None:
        raise NotFound
    people.revoke_api_token(item.holder, int(item.subject_key), by=cut.by, reason=cut.reason)
    return {}


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    works = bool(_existing([item.subject_key]))
    return [{"ask": "authentication", "token": int(item.subject_key), "allowed": works, "holds": not works}]


KIND = Kind(_existing, _cut, _probe)
