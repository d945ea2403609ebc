"""The decisions of a submission: written, concluded, and recorded with one event each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import log
from entitlements.people.models import Person
from governance.reviews.decisions.models import PARTS, ReviewDecision
from governance.reviews.items import event_details, item_links, review_rules
from governance.reviews.items.errors import Refused
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import Verb
from governance.reviews.kinds import agents
from governance.reviews.remediation import remediation
from governance.reviews.reviewers import assignment as assignment_actions
from governance.reviews.reviewers.models import Assignment

from .facts import SubmissionFacts
from .rules import ItemVerdict


def decisions(
    known: SubmissionFacts,
    verdicts: Sequence[ItemVerdict],
    *,
    by: Person,
    via: ReviewDecision.Via,
    amr: Sequence[str],
) -> list[ReviewDecision]:
    """Write the decisions, give items whose stages are all answered their outcome, and ask the next reviewers."""
    made = [
        ReviewDecision(
            item=draft.assignment.item,
            stage=draft.assignment.stage,
            assignment=draft.assignment,
            decided_by=by,
            via=via,
            **{name: getattr(draft, name) for name in PARTS} | {"kept_lines": verdict.kept},
            amr=list(amr),
            **_attention(draft.assignment, via, by),
            bulk_op=draft.bulk_op,
            suggestion=drafted.suggestion,
            reco_version=known.versions.get(verdict.item, ""),
            supersedes_id=verdict.supersedes,
            decided_at=known.case.now,
        )
        for draft, drafted, verdict in zip(known.drafts, known.case.drafts, verdicts, strict=True)
    ]
    try:
        with transaction.atomic():
            ReviewDecision.objects.bulk_create(made)
    except IntegrityError as error:
        raise Refused from error
    Assignment.objects.filter(pk__in=[each.assignment_id for each in made]).update(state=Assignment.State.SUBMITTED)
    _conclude(made, verdicts)
    return made


def _attention(assignment: Assignment, via: ReviewDecision.Via, by: Person) -> dict[str, Any]:
    """Return what the reviewer's browser reported of their attention; of a script, and without one, nothing is known.

    The attention of another person, who answers in the same place, does not count.
    """
    if via != ReviewDecision.Via.UI:
        return {}
    if not assignment.is_seen_by(by):
        return {"dwell_ms": None, "evidence_opened": False}
    return {"dwell_ms": assignment.dwell_ms or None, "evidence_opened": assignment.evidence_opened_at is not None}


def _conclude(decisions: Sequence[ReviewDecision], verdicts: Sequence[ItemVerdict]) -> None:
    """Give items their outcome, or ask the next reviewer of the same or the second stage."""
    decided, asked = list[ReviewItem](), defaultdict[tuple[bool, int], list[UUID]](list)
    for decision, verdict in zip(decisions, verdicts, strict=True):
        if verdict.asks is None:
            decision.item.current_decision_id = verdict.outcome or decision.pk
            decision.item.state = ReviewItem.State.DECIDED
            decided.append(decision.item)
        else:
            asked[decision.verb != Verb.ABSTAIN, verdict.asks].append(verdict.item)
    ReviewItem.objects.bulk_update(decided, ["state", "current_decision"])
    for (_is_further, stage), items in sorted(asked.items(), key=lambda each: each[0][0]):
        assignment_actions.ask_next(items, stage)
    for decision in decisions:
        if decision.item.subject_kind == ReviewItem.Subject.AGENT and decision.reason_code == review_rules.NOT_MINE:
            agents.propose_successor(decision)


def events(decisions: Sequence[ReviewDecision], known: SubmissionFacts, *, by: Person) -> None:
    """Record one event a decision."""
    grants = remediation.grants_of([decision.item_id for decision in decisions])
    for action, of_action in groupby(sorted(decisions, key=event_details.action), key=event_details.action):
        log.record_many(
            action,
            [
                log.Row(
                    about=[
                        *item_links.about(each.item, grants[each.item_id]),
                        f"decision:{each.pk}",
                        *(f"sod_exception:{known.pk}" for known in exceptions),
                    ],
                    reason=each.comment,
                    detail=event_details.detail(each, exceptions),
                )
                for each in of_action
                for exceptions in [known.exceptions.get(each.item_id, ())]
            ],
            by=by.principal,
        )
