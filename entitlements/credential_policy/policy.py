"""The credential policy in force, for both lanes, and the action that puts the next version in force."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.decisions import own_connection
from entitlements.decisions.reads import Reads
from entitlements.errors import DomainError
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock

from . import rules
from .models import CredentialPolicy
from .rules import Kind, Policy

_CURRENT: Final = """
SELECT p.limits::text, p.overlap_hours, p.stops_upstream_secrets FROM entitlements_credentialpolicy p
WHERE p.number = (SELECT max(n.number) FROM entitlements_credentialpolicy n)
"""


class OutOfBounds(DomainError):
    """A credential lives between 1 and 1,825 days, and two work side by side for 1 to 720 hours. Name each kind."""

    code, status = "credential_policy_out_of_bounds", HTTPStatus.UNPROCESSABLE_ENTITY


async def read(reads: Reads) -> Policy:
    """Return the policy in force; a change of it drops all that a node keeps."""
    rows = await reads.kept(_CURRENT, [], lambda _: [("concerns_all", True)])
    return _read(*rows[0]) if rows else rules.DEFAULT


def current() -> Policy:
    """Do as `read` on Django's own connection."""
    return own_connection.run(read(own_connection.READS))


@functools.lru_cache(maxsize=8)
def _read(limits: str, overlap_hours: int, stops: bool) -> Policy:  # noqa: FBT001 - a column
    return Policy(rules.read(json.loads(limits)), timedelta(hours=overlap_hours), stops)


def check(days: Mapping[Kind, int], overlap_hours: int) -> None:
    """Check what a person proposes. Raises OutOfBounds."""
    is_bounded = all(rules.SHORTEST_DAYS <= each <= rules.LONGEST_DAYS for each in days.values())
    overlap = rules.SHORTEST_OVERLAP_HOURS <= overlap_hours <= rules.LONGEST_OVERLAP_HOURS
    if set(days) != set(Kind) or not is_bounded or not overlap:
        raise OutOfBounds


@transaction.atomic
def publish(
    days: Mapping[Kind, int], *, overlap_hours: int, stops_upstream_secrets: bool, by: Principal, proposed_by: str,
    reason: str,
) -> CredentialPolicy:  # fmt: skip
    """Put the next version in force. What works goes on for its grace (`rules.AgeLimit`). Raises OutOfBounds.

    The caller checks that two people stand behind it.
    """
    check(days, overlap_hours)
    locks.exclusive((Lock.EVERYTHING, subjects.EVERYTHING))
    before, now = current(), clock.now()
    newest = CredentialPolicy.objects.order_by("-number").values_list("number", flat=True).first() or 0
    made = CredentialPolicy.objects.create(
        number=newest + 1,
        limits=rules.written({kind: before.limits[kind].changed(days[kind], now) for kind in Kind}),
        overlap_hours=overlap_hours,
        stops_upstream_secrets=stops_upstream_secrets,
        made_at=now,
    )
    detail = {
        "number": made.number,
        "days": {kind.value: days[kind] for kind in Kind},
        "days_before": {kind.value: before.limits[kind].days for kind in Kind},
        "overlap_hours": overlap_hours,
        "stops_upstream_secrets": stops_upstream_secrets,
        "proposed_by": proposed_by,
    }
    about = [f"credential_policy:{made.number}", proposed_by]
    log.record(Action.CREDENTIAL_POLICY_PUBLISHED, about=about, by=by, reason=reason, detail=detail)
    changes.note(subjects.ALL)
    return made
