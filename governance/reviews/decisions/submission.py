"""A reviewer's answers: drafts that they may change, and submitting them, after which each item is decided once.

Submitting goes in phases: locks, facts (`facts.py`), the judge (`rules.py`), writes, and one event a decision.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from audit import clock
from entitlements.errors import NotFound, Stale
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import facts as item_facts
from governance.reviews.items import violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import NotTheReviewer, NotUnderWay, ViolationOpen
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import Verb
from governance.reviews.items.visibility import answerable_by
from governance.reviews.remediation import remediation
from governance.reviews.reviewers import assignment as assignment_actions
from governance.reviews.reviewers.models import Assignment
from governance.reviews.same_access import settlement

from . import facts, rules, write
from .facts import SubmissionFacts
from .rules import Reason, Violation

_FIRST: Final = 0


@dataclass(slots=True)
class Submission:
    """What became of a reviewer's drafts: what was decided, what had ended, what else is settled in other reviews."""

    decided: list[ReviewDecision] = field(default_factory=list)
    ended: list[ReviewItem] = field(default_factory=list)
    settled: list[ReviewItem] = field(default_factory=list)

    @property
    def superseded(self) -> int:
        """How many had ended."""
        return len(self.ended)

    @property
    def removals(self) -> list[UUID]:
        """The cuts to verify; those of a later day are verified then."""
        return [each.pk for each in self.decided if remediation.removes_access(each) and each.effective_at is None]


@transaction.atomic
def save_draft(
    item_id: UUID, answer: Answer, *, by: Person, rev: int, bulk_op: UUID | None = None, alone: bool = True
) -> Draft:
    """Keep an answer as a draft. `rev` is the revision that the reviewer saw, 0 for none; the next one is returned.

    Only the reviewer sees a draft; it decides nothing, and the audit log has no event of it. One that comes with others
    and is submitted with them is not `alone`: submitting looks at them together. Raises BadAnswer, NotFound,
    NotTheReviewer, NotUnderWay, Stale, ViolationOpen.
    """
    answer.check(clock.now())
    assignment = _assigned(item_id, by)
    values = {
        "verb": answer.verb,
        "reason_code": answer.reason_code,
        "comment": answer.comment[:2000],
        "saved_at": clock.now(),
        "kept_lines": rules.fit(answer, facts.holdings({item_id: (assignment.item, answer)})[item_id]),
        "limits": {str(line): dict(limit) for line, limit in answer.limits.items()},
        "valid_until": answer.valid_until,
        "effective_at": answer.effective_at,
        "bulk_op": bulk_op,
        "saved_by": by,
    }
    held = Draft.objects.select_for_update().filter(assignment=assignment).first()
    if (held.rev if held else _FIRST) != rev:
        raise Stale(rev=held.rev if held else _FIRST)
    if alone and answer.verb in (Verb.CERTIFY, Verb.REDUCE):
        _check_violations(Draft(assignment=assignment, **values), by)
    if held is None:
        try:
            with transaction.atomic():
                return Draft.objects.create(assignment=assignment, **values)
        except IntegrityError as error:
            raise Stale from error
    Draft.objects.filter(pk=held.pk).update(rev=rev + 1, **values)
    held.refresh_from_db()
    return held


def _check_violations(draft: Draft, by: Person) -> None:
    """Refuse a draft that keeps an open violation, beside what the other drafts cut. Raises ViolationOpen."""
    item = draft.assignment.item
    others = drafts_of(item.campaign, by).exclude(assignment=draft.assignment)
    drafts = [draft, *others.filter(assignment__item__agent=item.agent).select_related("assignment__item")]
    left = item_facts.lines_left(each.assignment.item_id for each in drafts)
    violated = facts.judged(facts.violations(drafts, left, only=item.pk).get(item.pk, ()))
    violation = rules.uncovered(violated, facts.voices_of([draft], by)[item.pk])
    if violation is not None:
        raise _violation_open(item, violation)


def _assigned(item_id: UUID, by: Person) -> Assignment:
    """Return the live assignment that a reviewer may answer, and note when it was first opened."""
    rows = Assignment.objects.select_related("item__campaign").filter(item=item_id)
    assignment = rows.filter(answerable_by(by), state=Assignment.State.ASSIGNED).first()
    if assignment is None:
        raise NotTheReviewer if rows.exists() else NotFound
    if assignment.item.campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    if assignment.opened_at is None:
        Assignment.objects.filter(pk=assignment.pk).update(opened_at=clock.now())
    return assignment


def drafts_of(campaign: Campaign, by: Person) -> QuerySet[Draft]:
    """Return the drafts that a reviewer would submit now: about items that wait for their answer."""
    live = Assignment.objects.filter(
        answerable_by(by),
        item__campaign=campaign,
        item__state=ReviewItem.State.IN_REVIEW,
        state=Assignment.State.ASSIGNED,
    )
    return Draft.objects.filter(assignment__in=live).exclude(verb="")


def drafts_tag(campaign: Campaign, by: Person) -> str:
    """Return one name for a reviewer's drafts as they are: what they confirm is what they read."""
    return rules.tag(drafts_of(campaign, by).values_list("pk", "rev"))


@transaction.atomic
def submit(
    campaign_id: UUID,
    *,
    by: Person,
    via: ReviewDecision.Via,
    tag: str | None = None,
    amr: Sequence[str] = (),
    proven: bool = True,
    only: Collection[UUID] | None = None,
) -> Submission:
    """Turn all drafts of a reviewer, or those of the items `only`, into decisions, and carry the removals out, at once.

    Two at once: each item is decided once, the later one finds nothing to submit. What ended meanwhile is named and
    keeps no other answer back. `prove` the removals afterwards. A reviewer who did not have to re-authenticate, since
    nothing critical was drafted, is not `proven`: then nothing critical counts.
    Raises NotFound, NotUnderWay, MayNotReview, Stale (the drafts are others than those of `tag`, or than those that
    were weighed), NothingToSubmit, Outdated, ConflictOfInterest, ViolationOpen, ReasonRequired, WrittenReasonRequired,
    Refused. Then nothing was decided.
    """
    campaign = _lock_campaign(campaign_id)
    by.refresh_from_db(fields=["is_active"])
    listed = _lock_items(campaign, by, only)
    drafts = _lock_drafts(campaign, by, [item for item, _rev in listed.values()])
    known = SubmissionFacts.read(campaign, drafts, listed, by=by, tag=tag, proven=proven)
    verdict = rules.judge(known.case)
    if verdict.refusal is not None:
        raise _refusal(verdict.refusal, known)
    decided = write.decisions(known, verdict.items, by=by, via=via, amr=amr)
    write.events(decided, known, by=by)
    remediation.queue_and_apply([decision for decision in decided if remediation.removes_access(decision)])
    return Submission(decided, list(known.ended), settlement.settle(decided, by=by))


def _lock_campaign(campaign_id: UUID) -> Campaign:
    """Hold the campaign together with other reviewers, so that it is not closed meanwhile. Raises NotFound."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM governance_campaign WHERE id = %s FOR SHARE", [campaign_id])
    campaign = Campaign.objects.select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    return campaign


def _lock_items(campaign: Campaign, by: Person, only: Collection[UUID] | None) -> rules.Revisions:
    """Hold the items of the drafts to submit, and give those that have ended their outcome; return the drafts."""
    if campaign.state != Campaign.State.ACTIVE or not by.is_active:
        return {}
    rows = drafts_of(campaign, by) if only is None else drafts_of(campaign, by).filter(assignment__item__in=only)
    listed = {pk: (item, rev) for pk, item, rev in rows.values_list("pk", "assignment__item", "rev")}
    items = [item for item, _rev in listed.values()]
    if items:
        assignment_actions.hold(items)
        undecided.supersede(campaign, items)  # the reviewer's other items get it when they are next looked at
    return listed


def _lock_drafts(campaign: Campaign, by: Person, items: Sequence[UUID]) -> list[Draft]:
    """Hold the drafts of some items together with their assignments, looked at again once they are held."""
    rows = drafts_of(campaign, by).filter(assignment__item__in=items, assignment__state=Assignment.State.ASSIGNED)
    rows = rows.select_related(
        "assignment__item__agent",
        "assignment__item__system",
        "assignment__item__holder",
        "assignment__item__campaign",
        "assignment__reviewer",
    )
    return list(rows.select_for_update(of=("self", "assignment")).order_by("assignment__item__number"))


def _refusal(reason: Reason, known: SubmissionFacts) -> Exception:
    if reason.violation is None:
        return reason.error(**reason.detail)
    items = (draft.assignment.item for draft in known.drafts)
    return _violation_open(next(each for each in items if str(each.pk) == reason.detail["item"]), reason.violation)


def _violation_open(item: ReviewItem, violation: Violation) -> ViolationOpen:
    """Return the refusal to keep an item with this violation: what it is, and what to do next."""
    link = violations.link(item)
    if violation.excepted_by:
        message = _(
            "You cannot keep this: %(agent)s violates the SoD policy %(policy)s, and you gave the exception from it "
            "yourself. Keep some without the tools of one side, revoke it, or leave it to another reviewer."
        )
    else:
        message = _(
            "You cannot keep this: %(agent)s violates the SoD policy %(policy)s. Keep some without the tools of one "
            "side, revoke it, or ask security for an exception with a mitigating control and an end date: %(link)s"
        )
    return ViolationOpen(
        message % {"agent": violation.agent_name, "policy": violation.policy, "link": link},
        item=str(item.pk),
        agent=violation.agent,
        policy=violation.policy,
        exception_at=link,
        self_exception=bool(violation.excepted_by),
    )
