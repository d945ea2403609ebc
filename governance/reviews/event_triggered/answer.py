"""Answering a small review on its one page: one answer for all of it that somebody read, or a little more time."""

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
from governance.deciders.review_rules import Verb
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.event_triggered.models import MOST_POSTPONED, ReviewTrigger
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import validity, visibility
from governance.reviews.items.errors import BadAnswer, NotTheReviewer, NotUnderWay
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment

LATER: Final = timedelta(days=14)
"""By how much a small review is postponed."""


class PostponedEnough(DomainError):
    """A small review is postponed twice at most."""

    code, status = "micro_review_postponed_enough", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    """One answer for all `items` that somebody read. To keep some is to name the lines that stay.

    `why_keep` goes with what is kept as it is, `why_drop` with what is cut.
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
    said: ReviewAnswer,
    *,
    by: Person,
    via: ReviewDecision.Via,
    amr: Sequence[str] = (),
    proven: bool = True,
) -> submission.Submission:
    """Answer the items of a small review that somebody read, at once; prove what was cut afterwards.

    What came to wait for her meanwhile goes on waiting: nobody answers what was not before them. Without a proof of who
    she is (`proven`) nothing that is critical by now counts: Stale.

    Raises NotFound, NotTheReviewer, Stale (one of them does not wait for her any more), BadAnswer, and what drafting
    and submitting raise. Then nothing was decided.
    """
    waiting = [each for each in _waiting(campaign_id, by) if each.item_id in said.items]
    if not waiting or len(waiting) < len(said.items):
        raise Stale
    items = [each.item_id for each in waiting]
    assignment.hold(items)
    left = validity.lines_left(items)
    if said.verb == Verb.REDUCE and not said.kept <= {line for lines in left.values() for line in lines}:
        raise BadAnswer(field="kept", lines=sorted(line for lines in left.values() for line in lines))
    if said.verb == Verb.REDUCE and all(set(left[item]) <= said.kept for item in items):
        raise BadAnswer(field="kept")
    revisions = dict(Draft.objects.filter(assignment__in=waiting).values_list("assignment__item", "rev"))
    for item in items:
        submission.save_draft(item, _of_item(said, left[item]), by=by, rev=revisions.get(item, 0), alone=False)
    return submission.submit(campaign_id, by=by, via=via, amr=amr, proven=proven, only=items)


def has_critical_item(campaign_id: UUID, by: Person) -> bool:
    """Whether something of critical risk waits for somebody in a small review: answering it asks for a proof."""
    return visibility.waiting_for(by).filter(item__campaign=campaign_id, item__risk=Risk.CRITICAL).exists()


def _waiting(campaign_id: UUID, by: Person) -> list[Assignment]:
    """Return what waits for somebody in a small review, whose campaign is held. Raises as `answer`."""
    campaign = campaigns.locked(campaign_id)
    if campaign.kind != Campaign.Kind.MICRO:
        raise NotFound
    if campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    found = visibility.waiting_for(by).filter(item__campaign=campaign).order_by("item__number")
    if not (rows := list(found)):
        raise NotTheReviewer
    return rows


def _of_item(said: ReviewAnswer, left: Sequence[int]) -> answer_actions.Answer:
    """Return what one answer for all of it says of one item."""
    if said.verb == Verb.ABSTAIN:
        return answer_actions.Answer(said.verb, said.abstain, said.comment)
    if said.verb == Verb.REVOKE or (said.verb == Verb.REDUCE and not said.kept & set(left)):
        return answer_actions.Answer(Verb.REVOKE, said.why_drop, said.comment)
    if said.verb == Verb.REDUCE and not set(left) <= said.kept:
        return answer_actions.Answer(said.verb, said.why_drop, said.comment, tuple(sorted(said.kept & set(left))))
    return answer_actions.Answer(
        Verb.CERTIFY if said.verb in (Verb.CERTIFY, Verb.REDUCE) else said.verb, said.why_keep, said.comment
    )


@transaction.atomic
def postpone(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Put a small review off by fourteen days, as somebody whom it asks; twice at most.

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
