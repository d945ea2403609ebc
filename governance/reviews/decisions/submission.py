"""A reviewer's answers: drafts that she may change, and submitting them, after which each item is decided once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from audit import clock, log
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, Stale
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.deciders import review_rules
from governance.deciders.review_rules import STRICTNESS, Verb
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import event_details, item_links, validity, violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import (
    ConflictOfInterest,
    MayNotReview,
    NothingToSubmit,
    NotTheReviewer,
    NotUnderWay,
    Outdated,
    Refused,
)
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.visibility import hers
from governance.reviews.kinds import agents
from governance.reviews.remediation import remediation
from governance.reviews.reviewers import assignment as assignment_actions
from governance.reviews.reviewers import item_people
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions.models import Suggestion
from governance.sod.models import CombinationException

from . import settlement

_FIRST, _NOTHING = 0, ("", "")


@dataclass(slots=True)
class Submission:
    """What became of a reviewer's drafts: what was decided, what had ended, what else is settled in other reviews."""

    decided: list[ReviewDecision] = field(default_factory=list)
    ended: list[ReviewItem] = field(default_factory=list)
    settled: list[ReviewItem] = field(default_factory=list)

    @property
    def superseded(self) -> int:
        """How many those are."""
        return len(self.ended)

    @property
    def removals(self) -> list[UUID]:
        """The cuts to prove; those of a later day are proven then."""
        return [each.pk for each in self.decided if remediation.removes_access(each) and each.effective_at is None]


@transaction.atomic
def save_draft(
    item_id: UUID, answer: Answer, *, by: Person, rev: int, bulk_op: UUID | None = None, alone: bool = True
) -> Draft:
    """Keep what a reviewer means to answer. `rev` is the revision she saw, 0 for none; the next one is returned.

    A draft is hers alone and is no decision: the record says nothing of it. One that comes with others and is submitted
    with them is not `alone`: submitting looks at them together. Raises BadAnswer, NotFound, NotTheReviewer,
    NotUnderWay, Stale, ViolationOpen.
    """
    answer.check()
    assignment = _mine(item_id, by)
    kept_lines = validity.chosen(assignment.item, answer)
    values = {
        "verb": answer.verb,
        "reason_code": answer.reason_code,
        "comment": answer.comment[:2000],
        "saved_at": clock.now(),
        "kept_lines": kept_lines,
        "limits": {str(line): dict(caps) for line, caps in answer.limits.items()},
        "valid_until": answer.valid_until,
        "effective_at": answer.effective_at,
        "bulk_op": bulk_op,
        "saved_by": by,
    }
    held = Draft.objects.select_for_update().filter(assignment=assignment).first()
    if (held.rev if held else _FIRST) != rev:
        raise Stale(rev=held.rev if held else _FIRST)
    if alone and answer.verb in (Verb.CERTIFY, Verb.REDUCE):
        _check_violations(assignment, Draft(assignment=assignment, **values), by)
    if held is None:
        try:
            with transaction.atomic():
                return Draft.objects.create(assignment=assignment, **values)
        except IntegrityError as error:
            raise Stale from error
    Draft.objects.filter(pk=held.pk).update(rev=rev + 1, **values)
    held.refresh_from_db()
    return held


def _check_violations(assignment: Assignment, draft: Draft, by: Person) -> None:
    """Refuse a draft that keeps an open violation, beside what the other drafts cut. Raises ViolationOpen."""
    campaign, item = assignment.item.campaign, assignment.item_id
    beside = drafts_of(campaign, by).exclude(assignment=assignment)
    others = beside.filter(assignment__item__agent=assignment.item.agent)
    accounts = {each for voice in {by, assignment.reviewer or by} for each in independence.accounts_of(voice)}
    violations.check([draft, *others.select_related("assignment__item")], {item: accounts}, only=item)


def _mine(item_id: UUID, by: Person) -> Assignment:
    """Return the live assignment that somebody may answer, and note when it was first opened."""
    rows = Assignment.objects.select_related("item__campaign").filter(item=item_id)
    found = rows.filter(hers(by), state=Assignment.State.ASSIGNED).first()
    if found is None:
        raise NotTheReviewer if rows.exists() else NotFound
    if found.item.campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    if found.opened_at is None:
        Assignment.objects.filter(pk=found.pk).update(opened_at=clock.now())
    return found


def drafts_of(campaign: Campaign, by: Person) -> QuerySet[Draft]:
    """Return the drafts that somebody would submit now: about items that wait for her answer."""
    live = Assignment.objects.filter(
        hers(by), item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED
    )
    return Draft.objects.filter(assignment__in=live).exclude(verb="")


def drafts_tag(campaign: Campaign, by: Person) -> str:
    """Return one name for somebody's drafts as they are: what she confirms is what she read."""
    return _tag(drafts_of(campaign, by).values_list("pk", "rev"))


def _tag(rows: Iterable[tuple[UUID, int]]) -> str:
    return hashlib.sha256("\n".join(f"{pk}:{rev}" for pk, rev in sorted(rows)).encode()).hexdigest()[:32]


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
    keeps no other answer back. `prove` the removals afterwards. Who was asked for no proof of who she is, since nothing
    critical was drafted, is not `proven`: then nothing critical counts.
    Raises NotFound, NotUnderWay, MayNotReview, Stale (the drafts are others than those of `tag`, or than those that
    were weighed), NothingToSubmit, Outdated, ConflictOfInterest, ViolationOpen, ReasonRequired, WrittenReasonRequired,
    Refused. Then nothing was decided.
    """
    campaign = _held(campaign_id)
    by.refresh_from_db(fields=["is_active"])
    if not by.is_active:
        raise MayNotReview
    rows = drafts_of(campaign, by) if only is None else drafts_of(campaign, by).filter(assignment__item__in=only)
    read = {pk: (rev, item) for pk, rev, item in rows.values_list("pk", "rev", "assignment__item")}
    if not read:
        raise NothingToSubmit
    if tag is not None and tag != _tag((pk, rev) for pk, (rev, _) in read.items()):
        raise Stale
    items = [item for _, item in read.values()]
    assignment_actions.hold(items)
    undecided.supersede(campaign, items)  # of what else waits for her, whoever looks next says so
    drafts = _locked(campaign, by, items)
    gone = ReviewItem.objects.filter(pk__in=items, state=ReviewItem.State.SUPERSEDED)
    ended = list(gone.select_related("agent").order_by("number"))
    if not drafts and not ended:
        raise NothingToSubmit
    over = {item.pk for item in ended}
    left = {pk: rev for pk, (rev, item) in read.items() if item not in over}
    if tag is not None and left != {draft.pk: draft.rev for draft in drafts}:
        raise Stale
    if not proven and any(draft.assignment.item.risk == Risk.CRITICAL for draft in drafts):
        raise Stale
    told = _suggested(drafts)
    _check_fit(drafts)
    excepted = _check(drafts, by, told)
    decided = _decide(drafts, by, via, amr, told, excepted) if drafts else []
    return Submission(decided, ended, settlement.settle(decided, by=by))


def _locked(campaign: Campaign, by: Person, items: Sequence[UUID]) -> list[Draft]:
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


def _held(campaign_id: UUID) -> Campaign:
    """Hold the campaign together with other reviewers, against whoever closes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM governance_campaign WHERE id = %s FOR SHARE", [campaign_id])
    campaign = Campaign.objects.select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    if campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    return campaign


def _suggested(drafts: Sequence[Draft]) -> dict[UUID, tuple[str, str]]:
    """Return what was suggested for each item, and by which version; nothing is for some kinds."""
    items = [draft.assignment.item_id for draft in drafts]
    said = Suggestion.objects.filter(item__in=items).values_list("item", "verdict", "version")
    return {item: (verdict, version) for item, verdict, version in said}


def _check_fit(drafts: Sequence[Draft]) -> None:
    """Raise Outdated, with each answer whose item is not any more what it was when that was drafted."""
    if not (amiss := validity.outdated(drafts)):
        return
    named = {draft.assignment.item_id: draft.assignment.item for draft in drafts}
    rows = [
        {"item": str(pk), "agent": named[pk].agent_slug or named[pk].name, "field": part}
        for pk, part in list(amiss.items())[:_TOLD]
    ]
    raise Outdated(answers=rows, count=len(amiss))


_TOLD: Final = 50
"""How many answers one refusal names."""
type _Excepted = Mapping[UUID, Sequence[CombinationException]]


def _check(drafts: Sequence[Draft], by: Person, told: Mapping[UUID, tuple[str, str]]) -> _Excepted:
    """Check each answer against the people around its item and its agent's SoD violations as they are now.

    Returns the exceptions that cover what is kept, by item.
    """
    voices = {draft.assignment.reviewer or by for draft in drafts} | {by}
    accounts = {voice: independence.accounts_of(voice) for voice in voices}
    behind = {each.assignment.item_id: [*accounts[by], *accounts[each.assignment.reviewer or by]] for each in drafts}
    lacking: DomainError | None = None
    for stage, of_stage in groupby(sorted(drafts, key=_stage), key=_stage):
        answers = list(of_stage)
        arounds = dict(item_people.of_items((draft.assignment.item_id for draft in answers), stage))
        for draft in answers:
            item, asked = draft.assignment.item, draft.assignment.reviewer
            pair = sorted({by, asked or by}, key=lambda voice: voice.login)
            people = assignment_actions.with_active(arounds[item.pk], {voice.login for voice in pair})
            said = (assignment_actions.against(voice, people, accounts[voice]) for voice in pair)
            why = next((bar for bar in said if bar is not None), None)
            if why is not None:
                raise ConflictOfInterest(item=str(item.pk), agent=item.agent_slug or item.name, why=why.value)
            verdict, _ = told.get(item.pk, _NOTHING)
            lacks = answer_actions.lacking(draft, Risk(item.risk), verdict)
            if lacks is not None and lacking is None:
                lacking = lacks(item=str(item.pk), agent=item.agent_slug or item.name)
    excepted = violations.check(drafts, behind)
    if lacking is not None:
        raise lacking
    return excepted


def _stage(draft: Draft) -> int:
    return draft.assignment.stage


def _decide(
    drafts: Sequence[Draft],
    by: Person,
    via: ReviewDecision.Via,
    amr: Sequence[str],
    told: Mapping[UUID, tuple[str, str]],
    excepted: _Excepted,
) -> list[ReviewDecision]:
    items = [draft.assignment.item_id for draft in drafts]
    now, left, before = clock.now(), validity.lines_left(items), _taken_back(items)
    decisions = [
        ReviewDecision(
            item=draft.assignment.item,
            stage=draft.assignment.stage,
            assignment=draft.assignment,
            decided_by=by,
            via=via,
            verb=draft.verb,
            kept_lines=left[draft.assignment.item_id] if draft.verb == Verb.CERTIFY else draft.kept_lines,
            limits=draft.limits,
            valid_until=draft.valid_until,
            effective_at=draft.effective_at,
            reason_code=draft.reason_code,
            comment=draft.comment,
            amr=list(amr),
            **_seen(draft.assignment, via, by),
            bulk_op=draft.bulk_op,
            suggestion=told.get(draft.assignment.item_id, _NOTHING)[0],
            reco_version=told.get(draft.assignment.item_id, _NOTHING)[1],
            supersedes_id=None
            if draft.verb == Verb.ABSTAIN
            else before.get((draft.assignment.item_id, draft.assignment.stage)),
            decided_at=now,
        )
        for draft in drafts
    ]
    try:
        with transaction.atomic():
            ReviewDecision.objects.bulk_create(decisions)
    except IntegrityError as error:
        raise Refused from error
    _conclude(decisions, excepted)
    remediation.queue_and_apply([decision for decision in decisions if remediation.removes_access(decision)])
    return decisions


def _seen(assignment: Assignment, via: ReviewDecision.Via, by: Person) -> dict[str, Any]:
    """Say what her browser told of her looking; nothing is known of a script, nor how long without one.

    Whoever looked last may be another: who stands in for her, or for whom she does. That is no looking of hers.
    """
    if via != ReviewDecision.Via.UI:
        return {}
    if not assignment.is_seen_by(by):
        return {"dwell_ms": None, "evidence_opened": False}
    return {"dwell_ms": assignment.dwell_ms or None, "evidence_opened": assignment.evidence_opened_at is not None}


def _taken_back(items: Iterable[UUID]) -> dict[tuple[UUID, int], UUID]:
    """Return the answers that new ones supersede: those that were taken back and that nothing superseded yet."""
    rows = ReviewDecision.objects.filter(item__in=list(items), taken_back__isnull=False, successor=None)
    return {(item, stage): pk for item, stage, pk in rows.values_list("item", "stage", "pk")}


def _conclude(decisions: Sequence[ReviewDecision], excepted: _Excepted) -> None:
    """Give items whose stages are all answered their outcome, ask whoever is next, and record one event a decision."""
    ids = [decision.assignment_id for decision in decisions]
    Assignment.objects.filter(pk__in=ids).update(state=Assignment.State.SUBMITTED)
    _settle(decisions)
    for each in decisions:
        if each.item.subject_kind == ReviewItem.Subject.AGENT and each.reason_code == review_rules.NOT_MINE:
            agents.propose_successor(each)
    grants = remediation.grants_of([decision.item_id for decision in decisions])
    for action, of_action in groupby(sorted(decisions, key=event_details.action), key=event_details.action):
        log.record_many(
            action,
            [
                log.Row(
                    about=[
                        *item_links.about(each.item, grants[each.item_id]),
                        f"decision:{each.pk}",
                        *(f"combination_exception:{known.pk}" for known in excepted.get(each.item_id, ())),
                    ],
                    reason=each.comment,
                    detail=event_details.detail(each, excepted.get(each.item_id, ())),
                )
                for each in of_action
            ],
            by=decisions[0].decided_by.principal,
        )


def _settle(decisions: Sequence[ReviewDecision]) -> None:
    """Let the strictest answer be the outcome where no stage is left; a removal leaves none."""
    standing: dict[UUID, list[ReviewDecision]] = defaultdict(list)
    rows = ReviewDecision.objects.filter(item__in=[each.item_id for each in decisions], taken_back=None)
    for each in rows.exclude(verb=Verb.ABSTAIN).order_by("stage"):
        standing[each.item_id].append(each)
    decided, again, further = [], defaultdict[int, list[UUID]](list), []
    for decision in decisions:
        item, answers = decision.item, standing[decision.item_id]
        if decision.verb == Verb.ABSTAIN:
            again[decision.stage].append(item.pk)
        elif decision.verb == Verb.REVOKE or len(answers) >= item.stages:
            item.current_decision = max(answers, key=lambda each: (STRICTNESS.index(Verb(each.verb)), each.stage))
            item.state = ReviewItem.State.DECIDED
            decided.append(item)
        else:
            further.append(item.pk)
    ReviewItem.objects.bulk_update(decided, ["state", "current_decision"])
    for stage, items in again.items():
        assignment_actions.ask_next(items, stage)
    assignment_actions.ask_next(further, 2)
