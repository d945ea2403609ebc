"""The tables of a review's outcomes: decisions, comments, questions, items without an answer, removals, exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Final

from django.db.models import QuerySet

from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.discussion.models import ReviewComment, ReviewQuestion
from governance.reviews.items import outcome
from governance.reviews.items.models import ReviewLine
from governance.reviews.remediation import verification
from governance.reviews.remediation.models import NoAnswer, Remediation, RemediationException

from .tables import Row, Table, utc


def _decisions(campaign: Campaign) -> QuerySet[ReviewLine]:
    lines = ReviewLine.objects.filter(item__campaign=campaign).select_related(
        "item__agent", "item__system", "tool", "item__current_decision__decided_by"
    )
    return lines.order_by("item__number", "grant", "tool__name")


def decisions(rows: Iterable[ReviewLine]) -> Iterator[Row]:
    """Each line of each item under the decisions that count: kept, removed, or without a decision.

    The strictest decision is shown. Whether the line is kept, its limits and its end are the result of all stages.
    """
    for lines in batched(rows, 500):
        answers = outcome.combined({line.item_id for line in lines})
        for line in lines:
            decision, all_ = line.item.current_decision, answers.get(line.item_id, outcome.CombinedAnswers())
            yield {
                "item": line.item.number,
                "agent": line.item.agent_slug,
                "system": line.item.system_slug,
                "grant": str(line.grant_id or ""),
                "tool": line.tool.name,
                "usage_grade": line.usage_grade,
                "calls": line.calls_window,
                "denied": line.denied_window,
                "outcome": _outcome(line, all_),
                "limits": all_.limits(line.pk) if all_.keeps(line.pk) else {},
                **(_decision(decision) if decision else dict.fromkeys(_DECISION, "")),
                "valid_until": utc(all_.valid_until if all_.keeps(line.pk) else None),
            }


def _outcome(line: ReviewLine, answers: outcome.CombinedAnswers) -> str:
    if not answers.keeps(line.pk):
        return "removed"
    return "kept" if line.item.current_decision else line.item.state


_DECISION: Final = (
    "decision",
    "stage",
    "verb",
    "reason_code",
    "comment",
    "decided_by",
    "via",
    "amr",
    "decided_at",
    "valid_until",
    "effective_at",
    "suggestion",
    "suggested_by",
    "bulk_op",
)


def _decision(decision: ReviewDecision) -> Row:
    values = (
        str(decision.pk),
        decision.stage,
        decision.verb,
        decision.reason_code,
        decision.comment,
        decision.decided_by.login,
        decision.via,
        list(decision.amr),
        utc(decision.decided_at),
        utc(decision.valid_until),
        utc(decision.effective_at),
        decision.suggestion,
        decision.reco_version,
        str(decision.bulk_op or ""),
    )
    return dict(zip(_DECISION, values, strict=True))


def _history(campaign: Campaign) -> QuerySet[ReviewDecision]:
    rows = ReviewDecision.objects.filter(item__campaign=campaign)
    return rows.select_related("item", "decided_by", "taken_back").order_by("decided_at", "pk")


def history(rows: Iterable[ReviewDecision]) -> Iterator[Row]:
    """Every decision ever made, with abstentions, those taken back and those of earlier stages."""
    for decision in rows:
        back = getattr(decision, "taken_back", None)
        yield {
            "item": decision.item.number,
            **_decision(decision),
            "supersedes": str(decision.supersedes_id or ""),
            "counts": decision.item.current_decision_id == decision.pk,
            "taken_back": back.kind if back else "",
            "taken_back_at": utc(back.at if back else None),
            "taken_back_because": back.reason if back else "",
        }


def _unanswered(campaign: Campaign) -> QuerySet[NoAnswer]:
    rows = NoAnswer.objects.filter(item__campaign=campaign)
    return rows.select_related("item", "restored_by").order_by("item__number")


def unanswered(rows: Iterable[NoAnswer]) -> Iterator[Row]:
    """What the deadline did about each item without an answer."""
    for row in rows:
        yield {
            "item": row.item.number,
            "item_id": str(row.item_id),
            "did": row.did,
            "at": utc(row.at),
            "grants": [str(grant) for grant in row.grants],
            "calls_a_day": row.calls_a_day,
            "revoke_at": utc(row.revoke_at),
            "revoked_at": utc(row.revoked_at),
            "restored_at": utc(row.restored_at),
            "restored_by": row.restored_by.login if row.restored_by else "",
            "reason": row.reason,
        }


def _remediation(campaign: Campaign) -> QuerySet[Remediation]:
    rows = Remediation.objects.filter(decision__item__campaign=campaign).select_related("decision__item")
    return rows.order_by("decision__item__number", "pk")


def remediation(rows: Iterable[Remediation]) -> Iterator[Row]:
    """Each removal: when it was applied and verified, and until when a token issued before could still be valid."""
    for row in rows:
        yield {
            "item": row.decision.item.number,
            "decision": str(row.pk),
            "action": row.action,
            "state": row.state,
            "not_before": utc(row.not_before),
            "due_at": utc(row.due_at),
            "applied_at": utc(row.applied_at),
            "verified_at": utc(row.verified_at),
            "finished_at": utc(row.finished_at),
            "residual_until": utc(row.residual_until),
            "attempts": row.attempts,
            "before": row.before,
            "untried": verification.untried(row.probe),
            "probe": row.probe,
        }


def _exceptions(campaign: Campaign) -> QuerySet[RemediationException]:
    rows = RemediationException.objects.filter(remediation__decision__item__campaign=campaign)
    return rows.select_related("by", "remediation__decision__item").order_by("made_at", "pk")


def exceptions(rows: Iterable[RemediationException]) -> Iterator[Row]:
    """Each exception from a removal, with the person who made it and the mitigating control."""
    for row in rows:
        yield {
            "item": row.remediation.decision.item.number,
            "decision": str(row.remediation_id),
            "by": row.by.login,
            "reason": row.reason,
            "control": row.control,
            "made_at": utc(row.made_at),
            "expires_at": utc(row.expires_at),
            "ended_at": utc(row.ended_at),
        }


def _comments(campaign: Campaign) -> QuerySet[ReviewComment]:
    rows = ReviewComment.objects.filter(item__campaign=campaign)
    return rows.select_related("item", "by").order_by("item__number", "at", "pk")


def comments(rows: Iterable[ReviewComment]) -> Iterator[Row]:
    """The comments on each item; they decide nothing."""
    for comment in rows:
        yield {
            "item": comment.item.number,
            "comment": str(comment.pk),
            "by": comment.by.login,
            "at": utc(comment.at),
            "text": comment.text,
        }


def _questions(campaign: Campaign) -> QuerySet[ReviewQuestion]:
    rows = ReviewQuestion.objects.filter(item__campaign=campaign)
    people = ("asked_by", "asked_of", "answered_by")
    return rows.select_related("item", *people).order_by("item__number", "asked_at", "pk")


def questions(rows: Iterable[ReviewQuestion]) -> Iterator[Row]:
    """The questions of reviewers about items, with their answers; they decide nothing."""
    for question in rows:
        yield {
            "item": question.item.number,
            "question": str(question.pk),
            "asked_by": question.asked_by.login,
            "asked_of": question.asked_of.login,
            "asked_at": utc(question.asked_at),
            "text": question.text,
            "answer": question.answer,
            "answered_by": question.answerer.login if question.answerer else "",
            "answered_at": utc(question.answered_at),
        }


TABLES: Final = {
    "05_comments": Table(_comments, comments, ("by",), "comment:{comment}"),
    "05_decisions": Table(_decisions, decisions, ("system", "usage_grade", "outcome"), "decision:{decision}"),
    "05_history": Table(_history, history, ("stage", "verb", "via", "taken_back"), "decision:{decision}"),
    "05_questions": Table(_questions, questions, ("asked_of",), "question:{question}"),
    "05_unanswered": Table(_unanswered, unanswered, ("did",), "item:{item_id}"),
    "06_remediation": Table(_remediation, remediation, ("action", "state"), "decision:{decision}"),
    "07_exceptions": Table(_exceptions, exceptions, ("by",), "decision:{decision}"),
}
