"""What a review suspended stays suspended until that review restores it: no other action may."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from entitlements.grants.models import GrantSubject
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import NoAnswer, Remediation

from .errors import StoppedByReview

SUSPENDED: Final = "suspended"
"""The key under which a remediation keeps, for each suspended grant, whether the remediation suspended it."""


def is_held(grant_id: UUID) -> bool:
    """Whether a review holds a grant suspended: by its deadline, or by a removal that is neither final nor undone."""
    unanswered = NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, restored_at=None, revoked_at=None)
    if unanswered.filter(_concerns(grant_id, "item"), grants__contains=[grant_id]).exists():
        return True
    cuts = Remediation.objects.filter(final_at__isnull=False, finished_at=None, before__has_key=str(grant_id))
    cuts = cuts.filter(_concerns(grant_id, "decision__item"))
    kept = cuts.exclude(state=Remediation.State.WITHDRAWN).values_list("before", flat=True)
    return any(SUSPENDED in before[str(grant_id)] for before in kept)


def _concerns(grant_id: UUID, item: str) -> Q:
    """Select what is about a grant as it is now: a delegation item counts while its person is still on the grant."""
    named = GrantSubject.objects.filter(grant=grant_id, person=OuterRef(f"{item}__holder"))
    is_another = ~Q(**{f"{item}__subject_kind": ReviewItem.Subject.DELEGATION})
    return is_another | Q(Exists(named))


def is_subject_held(subject: ReviewItem.Subject, key: str) -> bool:
    """Whether a review holds another subject suspended: by its deadline, or by a removal neither final nor undone."""
    unanswered = NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, restored_at=None, revoked_at=None)
    if unanswered.filter(item__subject_kind=subject, item__subject_key=key).exists():
        return True
    cuts = Remediation.objects.filter(final_at__isnull=False, finished_at=None, applied_at__isnull=False)
    cuts = cuts.filter(decision__item__subject_kind=subject, decision__item__subject_key=key)
    return cuts.exclude(state=Remediation.State.WITHDRAWN).exists()


def check_agent(slug: str) -> None:
    """Refuse to restore an agent that a review suspended. Raises StoppedByReview."""
    if is_subject_held(ReviewItem.Subject.AGENT, slug):
        raise StoppedByReview


def check_client(client_id: str) -> None:
    """Refuse to enable a client that a review disabled. Raises StoppedByReview."""
    if is_subject_held(ReviewItem.Subject.CLIENT, client_id):
        raise StoppedByReview


def check(grant_id: UUID) -> None:
    """Refuse to restore a grant that a review suspended. Raises StoppedByReview."""
    if is_held(grant_id):
        raise StoppedByReview
