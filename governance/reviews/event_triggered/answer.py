"""Answering an event-triggered review: one answer for all items that the reviewer read, or a postponement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from audit import log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound, ReasonRequired, Stale
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.event_triggered.models import MOST_POSTPONED, ReviewTrigger
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import facts as item_facts
from governance.reviews.items import visibility
from governance.reviews.items.errors import BadAnswer, NotTheReviewer, NotUnderWay
from governance.reviews.items.review_rules import Verb
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment

LATER: Final = timedelta(days=14)
"""By how much an event-triggered review is postponed."""


class PostponedEnough(DomainError):
    """You cannot postpone this review again: it was postponed twice already. Answer it, or abstain."""

    code, status = "review_postponed_enough", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    """One answer for all `items` that the reviewer read. To keep some, name the lines that stay in `kept`.

    `why_keep` is the reason code for items kept as they are, `why_drop` for what is taken away.
    """

    verb: str
    items: frozenset[UUID]
    why_keep: str = ""
    why_drop: str = ""
    abstain: str = ""
    comment: str = ""
    kept: frozenset[int] = frozenset()


@transaction.atomic
def answer(
    campaign_id: UUID,
    review_answer: ReviewAnswer,
    *,
    by: Person,
    via: ReviewDecision.Via,
    amr: Sequence[str] = (),
    proven: bool = True,
) -> submission.Submission:
    """Answer all items of an event-triggered review that the reviewer read; the caller verifies the removals.

    Items that were assigned to the reviewer since they opened the page stay open. `proven`: the reviewer has stepped up
    their authentication; without it a critical item raises Stale.

    Raises NotFound, NotTheReviewer, Stale (an item no longer waits for this reviewer), BadAnswer, and what drafting and
    submitting raise. Then nothing is decided.
    """
    waiting = [each for each in _waiting(campaign_id, by) if each.item_id in review_answer.items]
    if not waiting or len(waiting) < len(review_answer.items):
        raise Stale
    items = [each.item_id for each in waiting]
    assignment.hold(items)
    left = item_facts.lines_left(items)
    if review_answer.verb == Verb.REDUCE and not review_answer.kept <= {
        line for lines in left.values() for line in lines
    }:
        raise BadAnswer(field="kept", lines=sorted(line for lines in left.values() for line in lines))
    if review_answer.verb == Verb.REDUCE and all(set(left[item]) <= review_answer.kept for item in items):
        raise BadAnswer(field="kept")
    revisions = dict(Draft.objects.filter(assignment__in=waiting).values_list("assignment__item", "rev"))
    for item in items:
        submission.save_draft(
            item, _answer_for_item(review_answer, left[item]), by=by, rev=revisions.get(item, 0), alone=False
        )
    return submission.submit(campaign_id, by=by, via=via, amr=amr, proven=proven, only=items)


def has_critical_item(campaign_id: UUID, by: Person) -> bool:
    """Whether a critical item of an event-triggered review waits for this person; answering it needs step-up."""
    return visibility.waiting_for(by).filter(item__campaign=campaign_id, item__risk=Risk.CRITICAL).exists()


def _waiting(campaign_id: UUID, by: Person) -> list[Assignment]:
    """Lock the campaign of an event-triggered review and return what waits for a person. Raises as `answer`."""
    campaign = campaigns.locked(campaign_id)
    if campaign.kind != Campaign.Kind.MICRO:
        raise NotFound
    if campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    assignments = visibility.waiting_for(by).filter(item__campaign=campaign).order_by("item__number")
    if not (rows := list(assignments)):
        raise NotTheReviewer
    return rows


def _answer_for_item(review_answer: ReviewAnswer, left: Sequence[int]) -> answer_actions.Answer:
    """Return what one answer for the whole review says about one item, by the lines that are left of it."""
    if review_answer.verb == Verb.ABSTAIN:
        return answer_actions.Answer(review_answer.verb, review_answer.abstain, review_answer.comment)
    if review_answer.verb == Verb.REVOKE or (review_answer.verb == Verb.REDUCE and not review_answer.kept & set(left)):
        return answer_actions.Answer(Verb.REVOKE, review_answer.why_drop, review_answer.comment)
    if review_answer.verb == Verb.REDUCE and not set(left) <= review_answer.kept:
        return answer_actions.Answer(
            review_answer.verb,
            review_answer.why_drop,
            review_answer.comment,
            tuple(sorted(review_answer.kept & set(left))),
        )
    return answer_actions.Answer(
        Verb.CERTIFY if review_answer.verb in (Verb.CERTIFY, Verb.REDUCE) else review_answer.verb,
        review_answer.why_keep,
        review_answer.comment,
    )


@transaction.atomic
def postpone(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Postpone an event-triggered review by fourteen days, as one of its reviewers; at most twice.

    Raises NotFound, NotTheReviewer, NotUnderWay, ReasonRequired, PostponedEnough.
    """
    if not reason.strip():
        raise ReasonRequired
    _waiting(campaign_id, by)
    campaign = campaigns.locked(campaign_id)
    trigger = ReviewTrigger.objects.select_for_update(of=("self",)).select_related("agent").get(campaign=campaign)
    if trigger.postponed >= MOST_POSTPONED:
        raise PostponedEnough
    trigger.postponed += 1
    trigger.save(update_fields=["postponed"])
    campaigns.save(campaign, due_at=campaign.due_at + LATER, deadline_held=None)
    log.record(
        Action.REVIEW_POSTPONED,
        about=[*campaigns.about(campaign), f"agent:{trigger.agent.slug}"],
        by=by.principal,
        reason=reason,
        detail={"due_at": campaign.due_at.isoformat(), "times": trigger.postponed},
    )
    return campaign
