"""Taking an answer back: the reviewer herself within fifteen minutes, the owner of the campaign later with a reason."""

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
from governance.deciders.review_rules import RECALL
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import item_links, outcome
from governance.reviews.items.errors import ConflictOfInterest, NothingLeft, NotTheOwner, NotUnderWay, TooLateToRecall
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import subjects
from governance.reviews.remediation import exceptions, remediation
from governance.reviews.remediation.models import Remediation, TakenBack
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers import facts as reviewer_facts
from governance.reviews.reviewers.models import Assignment

from . import settlement

RECALLED_IN: Final = (ReviewItem.State.IN_REVIEW, ReviewItem.State.DECIDED)
"""What state an item is in while an answer to it may be taken back: an outcome that came by itself stays."""


@transaction.atomic
def recall(item_id: UUID, *, by: Person, reason: str = "") -> Assignment:
    """Take one's own last answer to an item back, and draft it anew; what it cut works again.

    Raises NotFound, NotUnderWay, TooLateToRecall (also where its item got an outcome that is nobody's answer),
    ConflictOfInterest when it cut something, and what the verbs on grants raise when access cannot be put back. What
    somebody else stopped meanwhile stays stopped.
    """
    item = _held(item_id)
    said = _standing(item).filter(decided_by=by).order_by("-stage").first()
    if said is None:
        raise NotFound
    later = _standing(item).filter(stage__gt=said.stage)
    if item.state not in RECALLED_IN or clock.now() > said.decided_at + RECALL or later.exists():
        raise TooLateToRecall
    cut = Remediation.objects.filter(decision=said).first()
    if cut is not None and cut.final_at is None:
        raise TooLateToRecall  # it cannot be put back
    if cut is not None:
        why = assignment.against(by, dict(reviewer_facts.people_around([item_id], said.stage))[item_id])
        if why is not None:
            raise ConflictOfInterest(who=by.login, why=why.value)
    left = _take_back(item, [said], TakenBack.Kind.RECALL, by=by, undone_by=SYSTEM, reason=reason)
    Assignment.objects.filter(item=item, state=Assignment.State.ASSIGNED).update(state=Assignment.State.WITHDRAWN)
    again = Assignment.objects.create(
        item=item,
        stage=said.stage,
        reviewer=said.assignment.reviewer,
        resolution=said.assignment.resolution,
        assigned_at=clock.now(),
        opened_at=clock.now(),
    )
    Assignment.objects.filter(pk=said.assignment_id).update(replaced_by=again)
    copied = ("verb", "kept_lines", "limits", "valid_until", "effective_at", "reason_code", "comment")
    Draft.objects.create(
        assignment=again, saved_at=clock.now(), saved_by=by, **{name: getattr(said, name) for name in copied}
    )
    _record(Action.REVIEW_RECALLED, item, [said], left, by=by, reason=reason)
    return again


@transaction.atomic
def reopen(item_id: UUID, *, by: Person, reason: str) -> ReviewItem:
    """Open a decided item again, as the owner of its campaign; its stages are asked anew. What is final stays cut.

    Raises ReasonRequired, NotFound, NotUnderWay, NotTheOwner, NothingLeft, and ConflictOfInterest where something cut
    would work again that the owner may not judge.
    """
    if not reason.strip():
        raise ReasonRequired
    item = _held(item_id)
    if item.campaign.owner_id != by.pk:
        raise NotTheOwner
    said = list(_standing(item).order_by("-stage"))
    if item.state != ReviewItem.State.DECIDED or not said:
        raise NothingLeft
    if Remediation.objects.filter(decision__in=said, finished_at=None, final_at__isnull=False).exists():
        why = assignment.against(by, dict(reviewer_facts.people_around([item_id], said[0].stage))[item_id])
        if why not in (None, Reason.ANSWERED_ALREADY):
            raise ConflictOfInterest(who=by.login, why=str(why))
    hers = {each.decided_by_id for each in said} == {by.pk}
    left = _take_back(
        item, said, TakenBack.Kind.REOPEN, by=by, undone_by=SYSTEM if hers else by.principal, reason=reason
    )
    if not undecided.is_left(item):
        raise NothingLeft
    assignment.ask_next([item.pk], 1)
    _record(Action.REVIEW_REOPENED, item, said, left, by=by, reason=reason)
    return item


def _held(item_id: UUID) -> ReviewItem:
    """Hold the item alone and its campaign together with others."""
    item = ReviewItem.objects.select_related("campaign__owner", "agent", "system", "holder").filter(pk=item_id).first()
    if item is None:
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM governance_campaign WHERE id = %s FOR SHARE", [item.campaign_id])
        (state,) = cursor.fetchone()
    if state != Campaign.State.ACTIVE:
        raise NotUnderWay
    return (
        ReviewItem.objects.select_related("campaign__owner", "agent", "system", "holder")
        .select_for_update(of=("self",))
        .get(pk=item_id)
    )


def _standing(item: ReviewItem) -> QuerySet[ReviewDecision]:
    rows = outcome.standing().filter(item=item)
    return rows.select_related("assignment__reviewer", "decided_by")


def _take_back(
    item: ReviewItem,
    said: list[ReviewDecision],
    kind: TakenBack.Kind,
    *,
    by: Person,
    undone_by: Principal,
    reason: str,
) -> list[str]:
    """Let these answers no longer count, undo what they cut where that is not final, and open the item.

    Returns the grants, or the key of what is no grant, that stay stopped, since theirs was not the only stop.
    """
    cuts = list(
        Remediation.objects.filter(decision__in=said, finished_at=None, final_at__isnull=False)
        .select_for_update(of=("self",))
        .order_by("-decision__stage")
    )
    if subjects.kind_of(item) is None:  # the others hold their own
        locks.exclusive(*((Lock.GRANT, UUID(grant)) for cut in cuts for grant in cut.before))
    try:
        with transaction.atomic():
            TakenBack.objects.bulk_create(
                TakenBack(decision=each, kind=kind, by=by, reason=reason[:500], at=clock.now()) for each in said
            )
    except IntegrityError as error:
        raise TooLateToRecall from error
    under: dict[str, tuple[int, int]] = {}
    told, left = f"Taken back by person:{by.login}. {reason}".strip()[:500], set[str]()
    for cut in cuts:
        left = set(remediation.undo(cut, by=undone_by, reason=told, under=under)) | left
        exceptions.end_with(cut, by=by.principal)
    left -= remediation.working(item, left)  # a cut below put it back
    if item.state == ReviewItem.State.DECIDED:
        item.state, item.current_decision = ReviewItem.State.IN_REVIEW, None
        item.save(update_fields=["state", "current_decision"])
        settlement.reopen_due([item.pk])
    return sorted(left)


def _record(
    action: Action, item: ReviewItem, said: Iterable[ReviewDecision], left: list[str], *, by: Person, reason: str
) -> None:
    links = [f"decision:{each.pk}" for each in said]
    detail = {"still_suspended": left} if left else {}
    log.record(
        action,
        about=[*item_links.about(item, left if subjects.kind_of(item) is None else ()), *links],
        by=by.principal,
        reason=reason,
        detail=detail,
    )
