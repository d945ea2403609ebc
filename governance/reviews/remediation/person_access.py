"""Removal of one person from a grant: what a revoked delegation does, while the other people keep their access.

One of several people leaves the grant; the last one suspends it, since a grant without people means something else.
The grant's present state decides which of the two applies, not the stored one: a person who returns to a grant that was
suspended with another restores it, and that other person leaves it. A person whom several removals took off a grant
stays off until none of them holds.
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


def remove(item: ReviewItem, grant: Grant, *, by: Principal, reason: str) -> dict[str, Any]:
    """Remove an item's person from a grant and return the state before. A person removed already stays removed."""
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


def restore(item: ReviewItem, grant_id: UUID, own: Collection[str], *, by: Principal, reason: str) -> bool:
    """Restore an item's person to a grant; return whether the grant names them again and is active.

    It does not where the grant has ended or another removal still holds, and is not active where it is suspended for
    another reason. `own` names the actors of the removal that is undone. Raises what the actions on grants raise.
    """
    locks.exclusive((Lock.GRANT, grant_id))
    held = list(_removed_from(grant_id))
    person = _person(item)
    if not Grant.objects.filter(pk=grant_id, ended_at=None).exists() or person.pk in {holder for holder, _ in held}:
        return False
    if not serves(item, grant_id):
        subjects_actions.restore_person(grant_id, {"person": person.login}, by=by, reason=reason)
    for other in Person.objects.filter(grant_subjects__grant=grant_id, pk__in=[holder for holder, _ in held]).order_by(
        "pk"
    ):
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


def end(item: ReviewItem, grant_id: UUID, *, by: Principal, reason: str) -> None:
    """End a grant for an item's person for good; revoke the whole grant where it names no other person."""
    if not serves(item, grant_id):
        return
    if GrantSubject.objects.filter(grant=grant_id).count() > 1:
        subjects_actions.remove_person(grant_id, _person(item), by=by, reason=reason)
    else:
        grants.revoke(grant_id, by=by, reason=reason)


def without_access(items: Collection[UUID]) -> set[UUID]:
    """Return the delegations whose person no grant names any more, and no recall or restore can bring back."""
    named = PopulationRow.objects.filter(item=OuterRef("pk"), grant__ended_at=None)
    candidates = ReviewItem.objects.filter(pk__in=items, subject_kind=_ABOUT_ONE)
    candidates = candidates.exclude(Exists(named.filter(grant__subjects__person=OuterRef("holder"))))
    holders = dict(candidates.values_list("pk", "holder"))
    without = set(holders)
    if without:
        back = _may_come_back(set(holders.values()))
        rows = PopulationRow.objects.filter(item__in=without, grant__ended_at=None)
        without -= {item for item, grant in rows.values_list("item", "grant") if (holders[item], str(grant)) in back}
    return without


def _may_come_back(holders: Collection[int | None]) -> set[tuple[int | None, str]]:
    """Return the people with the grants from which a removal that can still be undone keeps them."""
    cuts = _cuts().filter(decision__item__holder__in=holders, finished_at=None, final_at__isnull=False)
    silent = _silent().filter(item__holder__in=holders, revoked_at=None)
    kept = set[tuple[int | None, str]]()
    for holder, before in cuts.values_list("decision__item__holder", "before"):
        kept |= {(holder, grant) for grant in before}
    for holder, before, stopped in silent.values_list("item__holder", "before", "grants"):
        kept |= {(holder, grant) for grant in (*before, *map(str, stopped))}
    return kept


def _removed_from(grant_id: UUID) -> Iterator[tuple[int | None, str]]:
    """Yield the people removed from a grant, for good or not, and the actor of each removal."""
    cuts = _cuts().filter(before__has_key=str(grant_id)).select_related("decision__item", "decision__decided_by")
    yield from ((cut.decision.item.holder_id, str(cut.decision.decided_by.principal)) for cut in cuts)
    silent = _silent().filter(Q(before__has_key=str(grant_id)) | Q(grants__contains=[grant_id]))
    yield from ((holder, str(SYSTEM)) for holder in silent.values_list("item__holder", flat=True))


def _cuts() -> QuerySet[Remediation]:
    return Remediation.objects.filter(decision__item__subject_kind=_ABOUT_ONE).exclude(
        state=Remediation.State.WITHDRAWN
    )


def _silent() -> QuerySet[NoAnswer]:
    return NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, item__subject_kind=_ABOUT_ONE, restored_at=None)


def _person(item: ReviewItem) -> Person:
    if item.holder is None:
        raise ValueError(item.pk)  # the database refuses a delegation without a person
    return item.holder
