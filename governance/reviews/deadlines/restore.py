"""Restoring what a deadline suspended: by a second person, within fourteen days."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.conflicts import independence
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.items import holds, item_links, review_rules
from governance.reviews.items.errors import ConflictOfInterest, NotSuspendedHere
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import subjects
from governance.reviews.remediation import person_access
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers import facts as reviewer_facts
from governance.reviews.reviewers.models import Assignment

from . import deadlines


@transaction.atomic
def restore(item_id: UUID, *, by: Person, reason: str) -> list[str]:
    """Restore all that the deadline suspended of an item, as a person who was not its reviewer and has no conflict.

    What another person or review suspended as well stays suspended, and the event says so; returns those grants, or the
    key of such another subject.
    Raises ReasonRequired, NotFound, NotSuspendedHere, ConflictOfInterest, and what `grants.restore` raises.
    """
    if not reason.strip():
        raise ReasonRequired
    rows = NoAnswer.objects.select_for_update(of=("self",)).select_related("item__campaign", "item__agent")
    row = (
        rows.select_related("item__campaign", "item__agent", "item__system", "item__holder").filter(pk=item_id).first()
    )
    if row is None:
        raise NotFound
    now = clock.now()
    if row.did != NoAnswer.Outcome.SUSPENDED or row.restored_at or row.revoked_at or (row.revoke_at or now) <= now:
        raise NotSuspendedHere
    people = dict(reviewer_facts.people_of_items([item_id], review_rules.SECOND))[item_id]
    why = assignment.against(by, people)
    accounts = independence.accounts_of(by)
    if why is None and Assignment.objects.filter(item=item_id, reviewer__in=accounts).exists():
        why = Reason.ANSWERED_ALREADY
    if why is not None:
        raise ConflictOfInterest(who=by.login, why=why.value)
    taken = _taken(row)
    locks.exclusive(*((Lock.GRANT, grant) for grant in taken))
    stopped = deadlines.still_suspended(row)
    row.restored_at, row.restored_by, row.reason = now, by, reason[:500]
    try:
        with transaction.atomic():
            row.save(update_fields=["restored_at", "restored_by", "reason"])
    except IntegrityError as error:
        raise ConflictOfInterest(who=by.login) from error
    if row.item.subject_kind == ReviewItem.Subject.DELEGATION:
        left = _bring_back(row, taken, by=by, reason=reason)
    else:
        left = _start(stopped, by=by, reason=reason) or _put_back(row, by=by, reason=reason)
    about = item_links.about(row.item, taken)
    detail = {"still_suspended": left} if left else {}
    log.record(Action.REVIEW_ACCESS_RESTORED, about=about, by=by.principal, reason=reason, detail=detail)
    return left


def _start(stopped: Iterable[UUID], *, by: Person, reason: str) -> list[str]:
    """Restore grants that the deadline suspended; returns those that another person or review suspended too."""
    left = []
    for grant in stopped:
        if grants.suspended_by(grant) - {str(SYSTEM)} or holds.is_held(grant):
            left.append(str(grant))
        else:
            grants.restore(grant, by=by.principal, reason=reason)
    return left


def _put_back(row: NoAnswer, *, by: Person, reason: str) -> list[str]:
    """Restore a subject that is no grant; returns its key if another person or review suspended it too."""
    kind = subjects.kind_of(row.item)
    if kind is None or kind.undo is None:
        return []
    is_back = kind.undo(row.item, row.before, subjects.Cut(by.principal, reason, undoes=SYSTEM))
    return [] if is_back else [row.item.subject_key]


def _taken(row: NoAnswer) -> list[UUID]:
    """Return the grants that the deadline suspended, or took a person off."""
    return sorted({*row.grants, *(UUID(grant) for grant in row.before if subjects.kind_of(row.item) is None)})


def _bring_back(row: NoAnswer, taken: Iterable[UUID], *, by: Person, reason: str) -> list[str]:
    """Put a person back on grants; returns the open grants that do not serve them, or stay suspended."""
    open_grants = Grant.objects.filter(pk__in=taken, ended_at=None).order_by("pk").values_list("pk", flat=True)
    return [
        str(each)
        for each in open_grants
        if not person_access.restore(row.item, each, {str(SYSTEM)}, by=by.principal, reason=reason)
    ]
