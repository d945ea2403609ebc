"""What a review stopped stays stopped until the review itself lets it go: no other door puts it back in force."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from entitlements.grants.models import GrantSubject
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import NoAnswer, Remediation

from .errors import StoppedByReview

SUSPENDED: Final = "suspended"
"""Under this word a cut keeps of each grant that it stopped whether it was the one that stopped it."""


def stands(grant_id: UUID) -> bool:
    """Whether the deadline of a review holds a grant stopped, or a removal that is neither final nor taken back."""
    unanswered = NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, restored_at=None, revoked_at=None)
    if unanswered.filter(_concerns(grant_id, "item"), grants__contains=[grant_id]).exists():
        return True
    cuts = Remediation.objects.filter(final_at__isnull=False, finished_at=None, before__has_key=str(grant_id))
    cuts = cuts.filter(_concerns(grant_id, "decision__item"))
    kept = cuts.exclude(state=Remediation.State.WITHDRAWN).values_list("before", flat=True)
    return any(SUSPENDED in before[str(grant_id)] for before in kept)


def _concerns(grant_id: UUID, item: str) -> Q:
    """Select what is about a grant as it is now: an item about one person no longer is when she has left the grant."""
    named = GrantSubject.objects.filter(grant=grant_id, person=OuterRef(f"{item}__holder"))
    is_another = ~Q(**{f"{item}__subject_kind": ReviewItem.Subject.DELEGATION})
    return is_another | Q(Exists(named))


def stands_on(subject: ReviewItem.Subject, key: str) -> bool:
    """Whether a review holds stopped what is no grant: by its deadline, or a removal neither final nor taken back."""
    unanswered = NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, restored_at=None, revoked_at=None)
    if unanswered.filter(item__subject_kind=subject, item__subject_key=key).exists():
        return True
    cuts = Remediation.objects.filter(final_at__isnull=False, finished_at=None, applied_at__isnull=False)
    cuts = cuts.filter(decision__item__subject_kind=subject, decision__item__subject_key=key)
    return cuts.exclude(state=Remediation.State.WITHDRAWN).exists()


def check_agent(slug: str) -> None:
    """Refuse to restore an agent that a review stopped; its own verbs let go first. Raises StoppedByReview."""
    if stands_on(ReviewItem.Subject.AGENT, slug):
        raise StoppedByReview


def check_client(client_id: str) -> None:
    """Refuse to enable a client that a review stopped; its own verbs let go first. Raises StoppedByReview."""
    if stands_on(ReviewItem.Subject.CLIENT, client_id):
        raise StoppedByReview


def check(grant_id: UUID) -> None:
    """Refuse to restore what a review stopped; its own verbs let go first. Raises StoppedByReview."""
    if stands(grant_id):
        raise StoppedByReview
