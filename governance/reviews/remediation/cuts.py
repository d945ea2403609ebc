"""Stopping the grants of items: each can be given back, as it was, until the cut is final."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from audit.context import Principal
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import batches, grants
from entitlements.grants.models import Grant
from governance.reviews.items import holds as holds_actions
from governance.reviews.items.models import ReviewItem

from . import person_access


def stop(item: ReviewItem, grant: Grant, *, by: Principal, reason: str) -> dict[str, Any]:
    """Stop a grant for an item's people, all of them or one, and return the state before."""
    if item.subject_kind == ReviewItem.Subject.DELEGATION:
        return person_access.remove(item, grant, by=by, reason=reason)
    if grant.state != Grant.State.ACTIVE:
        return {holds_actions.SUSPENDED: False}
    grants.suspend(grant.pk, by=by, reason=reason)
    return {holds_actions.SUSPENDED: True, "version": grant.version + 1}


def stop_all(
    items: Iterable[ReviewItem], held: Mapping[UUID, Sequence[UUID]], *, by: Principal, reason: str
) -> dict[UUID, dict[str, Any]]:
    """Stop the grants of many items, as `stop` does for one; return the state before, by item.

    Access items are stopped by one statement, the others grant by grant.
    """
    items = list(items)
    of_all = [pk for item in items if item.subject_kind == ReviewItem.Subject.ACCESS for pk in held.get(item.pk, ())]
    locks.exclusive(*((Lock.GRANT, grant) for grants_ in held.values() for grant in grants_))
    versions = batches.suspend_all(of_all, by=by, reason=reason)
    before: dict[UUID, dict[str, Any]] = {}
    for item in items:
        if item.subject_kind == ReviewItem.Subject.ACCESS:
            before[item.pk] = {
                str(pk): {holds_actions.SUSPENDED: True, "version": versions[pk]}
                if pk in versions
                else {holds_actions.SUSPENDED: False}
                for pk in held.get(item.pk, ())
            }
        else:
            rows = Grant.objects.filter(pk__in=held.get(item.pk, ()), ended_at=None).order_by("pk")
            before[item.pk] = {str(grant.pk): stop(item, grant, by=by, reason=reason) for grant in rows}
    return before
