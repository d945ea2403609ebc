"""An auditor's workpaper: one sample with its findings, for export."""

from __future__ import annotations

from typing import Any

from entitlements import spreadsheets
from governance.reviews.evidence.models import AuditQuestion, AuditSample
from governance.reviews.pack.models import EvidencePack

from . import audit


def rows(sample: AuditSample) -> list[dict[str, Any]]:
    """Return each item of a sample with its outcome and every mark."""
    return [_row(sampled) for sampled in audit.sampled(sample)]


def _row(sampled: Any) -> dict[str, Any]:  # noqa: ANN401 - a sampled item with its marks
    item, marks = sampled.item, sorted(sampled.marks.all(), key=lambda mark: mark.pk)
    decision, last = item.current_decision, marks[-1] if marks else None
    return {
        "item": item.number,
        "id": str(item.pk),
        "stratum": sampled.stratum,
        "agent": item.agent.slug if item.agent else "",
        "system": item.system.slug if item.system else "",
        "risk": item.risk,
        "outcome": decision.verb if decision else item.state,
        "decided_by": decision.decided_by.login if decision else "",
        "decided_at": decision.decided_at.isoformat() if decision else "",
        "finding": last.finding if last else "",
        "note": last.note if last else "",
        "marked_by": last.by.login if last else "",
        "marked_at": last.at.isoformat() if last else "",
        "earlier": [
            f"{mark.at.isoformat()} {mark.by.login}: {mark.finding} {mark.note}".strip() for mark in marks[:-1]
        ],
    }


def as_json(sample: AuditSample) -> dict[str, Any]:
    """Return the whole workpaper: how the sample was drawn, the pack, the findings, and the questions."""
    campaign = sample.campaign
    pack = EvidencePack.objects.filter(campaign=campaign).values_list("sha256", flat=True).first()
    questions = AuditQuestion.objects.filter(campaign=campaign).select_related("asked_by", "answered_by", "item")
    return {
        "id": str(sample.pk),
        "campaign": campaign.slug,
        "pack_sha256": pack or "",
        "seed": sample.seed,
        "wanted": sample.wanted,
        "strata": sample.strata,
        "frame": sample.frame,
        "frame_sha256": sample.frame_sha256,
        "drawn_by": sample.drawn_by.login,
        "drawn_at": sample.drawn_at.isoformat(),
        "items": rows(sample),
        "questions": [
            {
                "item": question.item.number if question.item else None,
                "asked_by": question.asked_by.login,
                "asked_at": question.asked_at.isoformat(),
                "due_at": question.due_at.isoformat(),
                "text": question.text,
                "answer": question.answer,
                "answered_by": question.answered_by.login if question.answered_by else "",
                "answered_at": question.answered_at.isoformat() if question.answered_at else "",
            }
            for question in questions.order_by("asked_at")
        ],
    }


def as_csv(sample: AuditSample) -> str:
    """Return the items as CSV, in which no cell is a formula; each row names the seed."""
    head = {"campaign": sample.campaign.slug, "seed": sample.seed}
    table = [{**head, **row, "earlier": "; ".join(row["earlier"])} for row in rows(sample)]
    return "".join([*map(spreadsheets.line, table[:1]), *(spreadsheets.line(row.values()) for row in table)])
