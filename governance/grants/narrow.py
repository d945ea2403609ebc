"""Narrowing a grant: fewer tools, tighter limits or less time, at once and in place."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction

from audit import clock
from audit.context import Principal
from entitlements.errors import NotFound, ReasonRequired, Stale
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.eligibility import narrowing
from governance.eligibility.narrowing import Narrowing


@transaction.atomic
def narrow(grant_id: UUID, *, narrow: Narrowing, by: Principal, reason: str, version: int | None = None) -> Grant:
    """Take away from a grant what `narrow` says; its time counts from now. `version` is the one that was read.

    The caller checks the permission. Raises NotFound, ReasonRequired, Stale, AlreadyEnded, and what
    `narrowing.check_size`, `narrowing.left` and `grants.reduce` raise.
    """
    narrowing.check_size(narrow.limits, reason)
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.GRANT, grant_id))
    grant = Grant.objects.filter(pk=grant_id).first()
    if grant is None:
        raise NotFound
    if version is not None and version != grant.version:
        raise Stale
    if (time := time_left(grant)) <= timedelta(0):
        raise grants.AlreadyEnded
    held = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
    left = narrowing.left(held, time, narrow)
    ends = grant.expires_at - (time - left.lasts)
    grants.reduce(grant_id, left.lines, expires_at=ends, by=by, reason=reason)
    return Grant.objects.get(pk=grant_id)


def time_left(grant: Grant) -> timedelta:
    """Return how long a grant still gives anything, from now or from when it begins; nothing once it has ended."""
    if grant.ended_at is not None:
        return timedelta(0)
    return grant.expires_at - max(grant.starts_at, clock.now())
