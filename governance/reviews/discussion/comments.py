"""Comments on review items: they decide nothing, stay with the item, and go into the evidence."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.access import role_reach
from entitlements.errors import DomainError, Forbidden, NotFound
from entitlements.people.models import Person, Role
from governance.approvals import question_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion.models import ReviewComment
from governance.reviews.items import item_links, visibility
from governance.reviews.items.errors import NotUnderWay
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.visibility import answerable_by
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.pack.seal import AlreadySealed, BeingSealed
from governance.reviews.reviewers.models import Assignment

MOST: Final = 200
"""How many comments one item takes."""
_RUN: Final = (Role.ANALYST, Role.SECURITY)


class TooManyComments(DomainError):
    """The item has two hundred comments, so it takes no more. Talk to each other elsewhere."""

    code, status = "too_many_comments", HTTPStatus.CONFLICT


@transaction.atomic
def comment(item_id: UUID, *, by: Person, text: str) -> ReviewComment:
    """Comment on an item, as its reviewer, the owner of its review, or a person who runs reviews.

    Raises NotFound for what `by` does not see, Forbidden if they may only read it, ReasonRequired without a text,
    narrowing.ReasonTooLong, TooManyComments, and what `lock_discussed_campaign` raises.
    """
    words = question_rules.words(text)
    item = discussable_item(item_id, by)
    if not may_comment(item, by):
        raise Forbidden
    if item.comments.count() >= MOST:
        raise TooManyComments
    created = ReviewComment.objects.create(item=item, by=by, text=words, at=clock.now())
    log.record(
        Action.REVIEW_COMMENTED,
        about=[*item_links.about(item), f"comment:{created.pk}"],
        by=by.principal,
        reason=created.text,
        detail={"comment": str(created.pk), "sha256": digest(created.text)},
    )
    return created


def may_comment(item: ReviewItem, person: Person) -> bool:
    """Whether a person who sees an item may comment on it: its reviewer, the review's owner, or who runs reviews.

    An auditor only reads.
    """
    if item.campaign.owner_id == person.pk or role_reach.covers(person.reach(*_RUN), item):
        return person.is_active
    assignments = Assignment.objects.filter(answerable_by(person), item=item).exclude(state=Assignment.State.REASSIGNED)
    return person.is_active and assignments.exists()


def is_open(campaign: Campaign) -> bool:
    """Whether the items of a review take comments and questions: from its beginning until it is sealed."""
    return campaign.state in Campaign.BEGAN and not _sealings(campaign).exists()


def discussable_item(item_id: UUID, by: Person) -> ReviewItem:
    """Find an item that a person sees and whose discussion is open; locks its review against sealing.

    Raises NotFound, and what `lock_discussed_campaign` raises.
    """
    item = visibility.items_visible_to(by).filter(pk=item_id).first()
    if item is None:
        raise NotFound
    item.campaign = lock_discussed_campaign(item.campaign_id)
    return item


def lock_discussed_campaign(campaign_id: UUID) -> Campaign:
    """Lock a review whose discussion is open. Raises NotUnderWay, AlreadySealed, BeingSealed."""
    campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
    if campaign.state not in Campaign.BEGAN:
        raise NotUnderWay
    if EvidencePack.objects.filter(campaign=campaign).exists():
        raise AlreadySealed
    if _sealings(campaign).exists():
        raise BeingSealed
    return campaign


def digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, by which the evidence compares it with the audit log."""
    return hashlib.sha256(text.encode()).hexdigest()


def _sealings(campaign: Campaign) -> QuerySet[EvidenceSealing]:
    return EvidenceSealing.objects.filter(campaign=campaign, refused="")
