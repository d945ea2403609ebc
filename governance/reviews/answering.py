"""A reviewer's answers: drafts that she may change, and submitting them, after which each item is decided once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.errors import NotFound, ReasonRequired, Stale
from entitlements.models import Person
from entitlements.words import Risk
from governance import reviewing
from governance.models import Assignment, Campaign, Draft, Remediation, ReviewDecision, ReviewItem, ReviewLine
from governance.reviewing import Verb

from . import assigning, ending, removing
from .errors import BadAnswer, ConflictOfInterest, MayNotReview, NothingToSubmit, NotTheReviewer, NotUnderWay, Refused

_FIRST: Final = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer means to say about an item; without a verb she takes back what she drafted."""

    verb: str = ""
    reason_code: str = ""
    comment: str = ""

    def check(self) -> None:
        """Raise BadAnswer for a verb or a reason that does not exist."""
        if self.verb not in ("", *Verb):
            raise BadAnswer(verb=self.verb[:32])
        known = reviewing.REASONS[Verb(self.verb)] if self.verb else ()
        if self.reason_code not in ("", *known):
            raise BadAnswer(reason_code=self.reason_code[:32], known=list(known))


@dataclass(slots=True)
class Submission:
    """What became of a reviewer's drafts."""

    decided: list[ReviewDecision] = field(default_factory=list)
    superseded: int = 0

    @property
    def removals(self) -> list[UUID]:
        """The removals to prove."""
        return [decision.pk for decision in self.decided if decision.verb == Verb.REVOKE]


@transaction.atomic
def save_draft(item_id: UUID, answer: Answer, *, by: Person, rev: int) -> Draft:
    """Keep what a reviewer means to answer. `rev` is the revision she saw, 0 for none; the next one is returned.

    A draft is hers alone and is no decision: the record says nothing of it. Raises BadAnswer, NotFound, NotTheReviewer,
    NotUnderWay, Stale.
    """
    answer.check()
    assignment = _mine(item_id, by)
    values = {
        "verb": answer.verb,
        "reason_code": answer.reason_code,
        "comment": answer.comment[:2000],
        "saved_at": clock.now(),
        "kept_lines": _kept([item_id])[item_id] if answer.verb == Verb.CERTIFY else [],
    }
    held = Draft.objects.select_for_update().filter(assignment=assignment).first()
    if (held.rev if held else _FIRST) != rev:
        raise Stale(rev=held.rev if held else _FIRST)
    if held is None:
        try:
            with transaction.atomic():
                return Draft.objects.create(assignment=assignment, **values)
        except IntegrityError as error:
            raise Stale from error
    Draft.objects.filter(pk=held.pk).update(rev=rev + 1, **values)
    held.refresh_from_db()
    return held


def _mine(item_id: UUID, by: Person) -> Assignment:
    """Return the live assignment of somebody, and note when she first opened it."""
    rows = Assignment.objects.select_related("item__campaign").filter(item=item_id)
    found = rows.filter(state=Assignment.State.ASSIGNED, reviewer=by).first()
    if found is None:
        raise NotTheReviewer if rows.exists() else NotFound
    if found.item.campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    if found.opened_at is None:
        Assignment.objects.filter(pk=found.pk).update(opened_at=clock.now())
    return found


def drafts_of(campaign: Campaign, by: Person) -> QuerySet[Draft]:
    """Return the drafts that somebody would submit now."""
    return Draft.objects.filter(
        assignment__item__campaign=campaign, assignment__reviewer=by, assignment__state=Assignment.State.ASSIGNED
    ).exclude(verb="")


def drafts_tag(campaign: Campaign, by: Person) -> str:
    """Return one name for somebody's drafts as they are: what she confirms is what she read."""
    rows = drafts_of(campaign, by).order_by("pk").values_list("pk", "rev")
    return hashlib.sha256("\n".join(f"{pk}:{rev}" for pk, rev in rows).encode()).hexdigest()[:32]


@transaction.atomic
def submit(
    campaign_id: UUID, *, by: Person, via: ReviewDecision.Via, tag: str | None = None, amr: Sequence[str] = ()
) -> Submission:
    """Turn all drafts of a reviewer into decisions, and carry the removals out, in one transaction.

    Two at once: each item is decided once, the later one finds nothing to submit. `prove` the removals afterwards.
    Raises NotFound, NotUnderWay, MayNotReview, Stale (the drafts are others than those of `tag`), NothingToSubmit,
    ConflictOfInterest, ReasonRequired, Refused. Whatever it raises, nothing was decided.
    """
    campaign = _held(campaign_id)
    by.refresh_from_db(fields=["is_active"])
    if not by.is_active:
        raise MayNotReview
    superseded = ending.supersede(campaign)
    drafts = list(
        drafts_of(campaign, by)
        .select_related("assignment__item__agent", "assignment__item__system", "assignment__item__campaign")
        .select_for_update(of=("self", "assignment"))
        .order_by("assignment__item__number")
    )
    if not drafts:
        raise NothingToSubmit
    if tag is not None and tag != drafts_tag(campaign, by):
        raise Stale
    _check(drafts, by)
    return Submission(_decide(drafts, by, via, amr), superseded)


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


def _check(drafts: Sequence[Draft], by: Person) -> None:
    """Check each answer against the people around its item as they are now."""
    arounds = dict(assigning.around_items(draft.assignment.item_id for draft in drafts))
    for draft in drafts:
        item = draft.assignment.item
        around = assigning.with_active(arounds[item.pk], {by.login})
        why = reviewing.conflict(by.login, around)
        if why is not None:
            raise ConflictOfInterest(item=str(item.pk), agent=item.agent.slug, why=why.value)
        if reviewing.needs_reason(Verb(draft.verb), Risk(item.risk)) and not draft.reason_code:
            raise ReasonRequired(item=str(item.pk), agent=item.agent.slug)


def _kept(items: Iterable[UUID]) -> dict[UUID, list[int]]:
    lines: dict[UUID, list[int]] = defaultdict(list)
    for item, line in ReviewLine.objects.filter(item__in=list(items)).order_by("pk").values_list("item", "pk"):
        lines[item].append(line)
    return lines


def _decide(drafts: Sequence[Draft], by: Person, via: ReviewDecision.Via, amr: Sequence[str]) -> list[ReviewDecision]:
    now, kept = clock.now(), _kept(draft.assignment.item_id for draft in drafts if draft.verb == Verb.CERTIFY)
    decisions = [
        ReviewDecision(
            item=draft.assignment.item,
            assignment=draft.assignment,
            decided_by=by,
            via=via,
            verb=draft.verb,
            kept_lines=kept.get(draft.assignment.item_id, []),
            reason_code=draft.reason_code,
            comment=draft.comment,
            amr=list(amr),
            decided_at=now,
        )
        for draft in drafts
    ]
    try:
        with transaction.atomic():
            ReviewDecision.objects.bulk_create(decisions)
    except IntegrityError as error:
        raise Refused from error
    _conclude(decisions)
    removing.queue_and_apply([decision for decision in decisions if decision.verb == Verb.REVOKE])
    return decisions


def _conclude(decisions: Sequence[ReviewDecision]) -> None:
    """Give the items their outcome and the record one event a decision, set by set."""
    for decision in decisions:
        decision.item.state, decision.item.current_decision = ReviewItem.State.DECIDED, decision
    ReviewItem.objects.bulk_update([decision.item for decision in decisions], ["state", "current_decision"])
    ids = [decision.assignment_id for decision in decisions]
    Assignment.objects.filter(pk__in=ids).update(state=Assignment.State.SUBMITTED)
    grants = removing.grants_of([decision.item_id for decision in decisions])
    log.record_many(
        Action.REVIEW_DECIDED,
        [
            log.Row(
                about=[*ending.about(decision.item, grants[decision.item_id]), f"decision:{decision.pk}"],
                reason=decision.comment,
                detail={
                    "verb": decision.verb,
                    "reason_code": decision.reason_code,
                    "via": decision.via,
                    "kept_lines": len(decision.kept_lines),
                    "risk": decision.item.risk,
                },
            )
            for decision in decisions
        ],
        by=decisions[0].decided_by.principal,
    )


def open_removals(campaign: Campaign) -> QuerySet[Remediation]:
    """Return the removals of a campaign that are not proven yet."""
    return Remediation.objects.filter(decision__item__campaign=campaign).exclude(state=Remediation.State.VERIFIED)
