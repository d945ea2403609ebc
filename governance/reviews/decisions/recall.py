"""Recalls: the reviewer takes an answer back within fifteen minutes, the owner of the campaign later with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import PARTS, Draft, ReviewDecision
from governance.reviews.items import item_links, outcome
from governance.reviews.items.errors import ConflictOfInterest, NothingLeft, NotTheOwner, NotUnderWay, TooLateToRecall
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import RECALL
from governance.reviews.kinds import subjects
from governance.reviews.remediation import exceptions, remediation
from governance.reviews.remediation.models import RecalledDecision, Remediation
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers import facts as reviewer_facts
from governance.reviews.reviewers.models import Assignment
from governance.reviews.same_access import settlement

RECALLED_IN: Final = (ReviewItem.State.IN_REVIEW, ReviewItem.State.DECIDED)
"""The states of an item whose answer may be taken back: an outcome without a decision stays."""


@transaction.atomic
def recall(item_id: UUID, *, by: Person, reason: str = "") -> Assignment:
    """Take the reviewer's own last answer to an item back, and make it a draft again; what it cut works again.

    Raises NotFound, NotUnderWay, TooLateToRecall (also where the item got an outcome without a decision),
    ConflictOfInterest when it cut something, and what the actions on grants raise when access cannot be put back. What
    another person stopped meanwhile stays stopped.
    """
    item = _held(item_id)
    last = _standing(item).filter(decided_by=by).order_by("-stage").first()
    if last is None:
        raise NotFound
    later = _standing(item).filter(stage__gt=last.stage)
    if item.state not in RECALLED_IN or clock.now() > last.decided_at + RECALL or later.exists():
        raise TooLateToRecall
    cut = Remediation.objects.filter(decision=last).first()
    if cut is not None and cut.final_at is None:
        raise TooLateToRecall  # it cannot be put back
    if cut is not None and (bar := assignment.against(by, reviewer_facts.people_of(item_id, last.stage))) is not None:
        raise ConflictOfInterest(who=by.login, why=bar.value)
    left = _take_back(item, [last], RecalledDecision.Kind.RECALL, by=by, undone_by=SYSTEM, reason=reason)
    Assignment.objects.filter(item=item, state=Assignment.State.ASSIGNED).update(state=Assignment.State.WITHDRAWN)
    again = Assignment.objects.create(
        item=item,
        stage=last.stage,
        reviewer=last.assignment.reviewer,
        resolution=last.assignment.resolution,
        assigned_at=clock.now(),
        opened_at=clock.now(),
    )
    Assignment.objects.filter(pk=last.assignment_id).update(replaced_by=again)
    parts = {name: getattr(last, name) for name in PARTS}
    Draft.objects.create(assignment=again, saved_at=clock.now(), saved_by=by, **parts)
    _record(Action.REVIEW_RECALLED, item, [last], left, by=by, reason=reason)
    return again


@transaction.atomic
def reopen(item_id: UUID, *, by: Person, reason: str) -> ReviewItem:
    """Open a decided item again, as the owner of its campaign; its stages are asked again. What is final stays cut.

    Raises ReasonRequired, NotFound, NotUnderWay, NotTheOwner, NothingLeft, and ConflictOfInterest where something cut
    would work again that the owner may not judge.
    """
    if not reason.strip():
        raise ReasonRequired
    item = _held(item_id)
    if item.campaign.owner_id != by.pk:
        raise NotTheOwner
    answers = list(_standing(item).order_by("-stage"))
    if item.state != ReviewItem.State.DECIDED or not answers:
        raise NothingLeft
    if _cuts(answers).exists():
        bar = assignment.against(by, reviewer_facts.people_of(item_id, answers[0].stage))
        if bar not in (None, Reason.ANSWERED_ALREADY):
            raise ConflictOfInterest(who=by.login, why=str(bar))
    undone_by = SYSTEM if {each.decided_by_id for each in answers} == {by.pk} else by.principal
    left = _take_back(item, answers, RecalledDecision.Kind.REOPEN, by=by, undone_by=undone_by, reason=reason)
    if not undecided.is_left(item):
        raise NothingLeft
    assignment.ask_next([item.pk], 1)
    _record(Action.REVIEW_REOPENED, item, answers, left, by=by, reason=reason)
    return item


def _held(item_id: UUID) -> ReviewItem:
    """Hold the item alone and its campaign together with others."""
    rows = ReviewItem.objects.select_related("campaign__owner", "agent", "system", "holder").filter(pk=item_id)
    item = rows.first()
    if item is None:
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM governance_campaign WHERE id = %s FOR SHARE", [item.campaign_id])
        (state,) = cursor.fetchone()
    if state != Campaign.State.ACTIVE:
        raise NotUnderWay
    return rows.select_for_update(of=("self",)).get()


def _standing(item: ReviewItem) -> QuerySet[ReviewDecision]:
    rows = outcome.standing().filter(item=item)
    return rows.select_related("assignment__reviewer", "decided_by")


def _cuts(answers: Iterable[ReviewDecision]) -> QuerySet[Remediation]:
    """Return what these answers cut that is not final yet."""
    return Remediation.objects.filter(decision__in=answers, finished_at=None, final_at__isnull=False)


def _take_back(
    item: ReviewItem,
    answers: list[ReviewDecision],
    kind: RecalledDecision.Kind,
    *,
    by: Person,
    undone_by: Principal,
    reason: str,
) -> list[str]:
    """Let these answers no longer count, undo what they cut where that is not final, and open the item.

    Returns the grants, or the key of what is no grant, that stay stopped, since something else stopped them too.
    """
    cuts = list(_cuts(answers).select_for_update(of=("self",)).order_by("-decision__stage"))
    if subjects.kind_of(item) is None:  # the others hold their own
        locks.exclusive(*((Lock.GRANT, UUID(grant)) for cut in cuts for grant in cut.before))
    try:
        with transaction.atomic():
            RecalledDecision.objects.bulk_create(
                RecalledDecision(decision=each, kind=kind, by=by, reason=reason[:500], at=clock.now())
                for each in answers
            )
    except IntegrityError as error:
        raise TooLateToRecall from error
    under: dict[str, tuple[int, int]] = {}
    why, left = f"Taken back by person:{by.login}. {reason}".strip()[:500], set[str]()
    for cut in cuts:
        left = set(remediation.undo(cut, by=undone_by, reason=why, under=under)) | left
        exceptions.end_with(cut, by=by.principal)
    left -= remediation.working(item, left)  # a cut below put it back
    if item.state == ReviewItem.State.DECIDED:
        item.state, item.current_decision = ReviewItem.State.IN_REVIEW, None
        item.save(update_fields=["state", "current_decision"])
        settlement.reopen_due([item.pk])
    return sorted(left)


def _record(
    action: Action, item: ReviewItem, answers: Iterable[ReviewDecision], left: list[str], *, by: Person, reason: str
) -> None:
    grants = left if subjects.kind_of(item) is None else ()
    about = [*item_links.about(item, grants), *(f"decision:{each.pk}" for each in answers)]
    log.record(action, about=about, by=by.principal, reason=reason, detail={"still_suspended": left} if left else {})
