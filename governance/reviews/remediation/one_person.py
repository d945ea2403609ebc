"""A cut of a delegation takes one person off a grant, and nobody else loses by it.

Who is not the only one leaves the grant; with the last one it stops, since a grant for nobody would say something else.
Which of the two it is by now the grant itself says, not what was kept: whoever comes back to a grant that stopped with
another starts it again, and that other leaves it instead. Whom several cuts took off stays off until none holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.context import SYSTEM, Principal
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants import subjects as subjects_actions
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person
from governance.reviews.items import holds
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation.models import NoAnswer, Remediation

_ABOUT_ONE: Final = ReviewItem.Subject.DELEGATION


def serves(item: ReviewItem, grant_id: UUID) -> bool:
    """Whether a grant that has not ended still names the person whom an item is about."""
    return GrantSubject.objects.filter(grant=grant_id, grant__ended_at=None, person=item.holder).exists()


def take_off(item: ReviewItem, grant: Grant, *, by: Principal, reason: str) -> dict[str, Any]:
    """Let a grant serve an item's person no more, and say what was before. Whoever is off it already is kept off."""
    person = _person(item)
    subjects = grant.subjects.all()
    if not subjects.filter(person=person).exists():
        return {"person": person.login, "version": grant.version}
    if subjects.count() > 1:
        return subjects_actions.remove_person(grant.pk, person, by=by, reason=reason)
    if grant.state != Grant.State.ACTIVE:
        return {holds.SUSPENDED: False}
    grants.suspend(grant.pk, by=by, reason=reason)
    return {holds.SUSPENDED: True, "version": grant.version + 1}


def put_back(item: ReviewItem, grant_id: UUID, own: Collection[str], *, by: Principal, reason: str) -> bool:
    """Let a grant serve an item's person again; returns whether it does, and works.

    It does not where it has ended or another cut keeps her off, and does not work where it is stopped otherwise. `own`
    names who made the cut that is undone. Raises what the verb on grants raises.
    """
    locks.exclusive((Lock.GRANT, grant_id))
    held = list(_holding(grant_id))
    person = _person(item)
    if not Grant.objects.filter(pk=grant_id, ended_at=None).exists() or person.pk in {who for who, _ in held}:
        return False
    if not serves(item, grant_id):
        subjects_actions.restore_person(grant_id, {"person": person.login}, by=by, reason=reason)
    for other in Person.objects.filter(grant_subjects__grant=grant_id, pk__in=[who for who, _ in held]).order_by("pk"):
        subjects_actions.remove_person(grant_id, other, by=by, reason=reason)
    grant = Grant.objects.get(pk=grant_id)
    theirs = {*own, *(actor for _, actor in held)}
    if (
        grant.state == Grant.State.SUSPENDED
        and not grants.suspended_by(grant_id) - theirs
        and not holds.is_held(grant_id)
    ):
        grant = grants.restore(grant_id, by=by, reason=reason)
    return grant.state == Grant.State.ACTIVE


def finish(item: ReviewItem, grant_id: UUID, *, by: Principal, reason: str) -> None:
    """End for good what a grant that has not ended was to an item's person: all of it where it serves nobody else."""
    if not serves(item, grant_id):
        return
    if GrantSubject.objects.filter(grant=grant_id).count() > 1:
        subjects_actions.remove_person(grant_id, _person(item), by=by, reason=reason)
    else:
        grants.revoke(grant_id, by=by, reason=reason)


def gone(items: Collection[UUID]) -> set[UUID]:
    """Say of which of these delegations no grant serves the person any more, nor will when something is taken back."""
    named = PopulationRow.objects.filter(item=OuterRef("pk"), grant__ended_at=None)
    off = ReviewItem.objects.filter(pk__in=items, subject_kind=_ABOUT_ONE)
    off = off.exclude(Exists(named.filter(grant__subjects__person=OuterRef("holder"))))
    holders = dict(off.values_list("pk", "holder"))
    left = set(holders)
    if left:
        back = _may_come_back(set(holders.values()))
        rows = PopulationRow.objects.filter(item__in=left, grant__ended_at=None)
        left -= {item for item, grant in rows.values_list("item", "grant") if (holders[item], str(grant)) in back}
    return left


def _may_come_back(holders: Collection[int | None]) -> set[tuple[int | None, str]]:
    """Return whom something keeps off which grant that can still be taken back or restored."""
    cuts = _cuts().filter(decision__item__holder__in=holders, finished_at=None, final_at__isnull=False)
    silent = _silent().filter(item__holder__in=holders, revoked_at=None)
    kept = set[tuple[int | None, str]]()
    for who, before in cuts.values_list("decision__item__holder", "before"):
        kept |= {(who, grant) for grant in before}
    for who, before, stopped in silent.values_list("item__holder", "before", "grants"):
        kept |= {(who, grant) for grant in (*before, *map(str, stopped))}
    return kept


def _holding(grant_id: UUID) -> Iterator[tuple[int | None, str]]:
    """Yield whom something keeps off a grant, for good or not, and who did that."""
    cuts = _cuts().filter(before__has_key=str(grant_id)).select_related("decision__item", "decision__decided_by")
    yield from ((cut.decision.item.holder_id, str(cut.decision.decided_by.principal)) for cut in cuts)
    silent = _silent().filter(Q(before__has_key=str(grant_id)) | Q(grants__contains=[grant_id]))
    yield from ((who, str(SYSTEM)) for who in silent.values_list("item__holder", flat=True))


def _cuts() -> QuerySet[Remediation]:
    return Remediation.objects.filter(decision__item__subject_kind=_ABOUT_ONE).exclude(
        state=Remediation.State.WITHDRAWN
    )


def _silent() -> QuerySet[NoAnswer]:
    return NoAnswer.objects.filter(did=NoAnswer.Did.SUSPENDED, item__subject_kind=_ABOUT_ONE, restored_at=None)


def _person(item: ReviewItem) -> Person:
    if item.holder is None:
        raise ValueError(item.pk)  # the database refuses a delegation of nobody
    return item.holder
