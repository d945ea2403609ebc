"""Who may open which page of access reviews."""

from __future__ import annotations

from typing import Final

from .matrix_rows import Pages, both, like

REVIEWS: Final[Pages] = {
    ("review-list", "GET"): like("campaigns GET"),
    **both(like("campaigns", "campaign-template-start"), "review-new"),
    ("review-page", "GET"): like("campaign GET"),
    ("review-items", "GET"): like("review-items GET"),
    ("review-reviewers", "GET"): like("campaign GET"),
    ("review-settings", "GET"): like("campaign GET"),
    ("review-activate", "POST"): like("campaign-activate"),
    ("review-templates", "GET"): like("campaign-templates GET"),
    **both(like("campaign-template PATCH"), "review-template-edit"),
    ("review-template-start", "POST"): like("campaign-template-start"),
    ("review-template-stop", "POST"): like("campaign-template-stop"),
    ("review-duplicate", "POST"): like("campaign-duplicate"),
    ("review-stage", "POST"): like("campaign-stage"),
    **{
        (f"review-{act}", "POST"): like(f"campaign-{act}")
        for act in ("pause", "remind", "resume", "cancel", "close", "release", "seal")
    },
    ("review-give", "POST"): like("campaign-reassign"),
    ("right-sizing-page", "GET"): like("right-sizing GET", also=("grant-right-size",)),
    ("grant-right-size-page", "POST"): like("grant-right-size"),
    ("event-triggered-list", "GET"): like("event-triggered-reviews GET"),
    ("review-one", "GET"): like("event-triggered-review GET"),
    ("review-one", "POST"): like("event-triggered-review-answer", "event-triggered-review-postpone"),
    **both(like("review-item-draft PUT"), "review-work"),
    **both(like("campaign-submissions"), "review-submit"),
    ("review-draft", "POST"): like("review-item-draft PUT"),
    **{(f"review-{act}", "POST"): like("review-item-draft PUT") for act in ("looked", "narrow")},
    ("review-hand-on", "POST"): like("review-item-hand-on"),
    ("review-claim", "POST"): like("review-item-claim"),
    ("review-comment", "POST"): like("review-item-comment"),
    ("review-ask", "POST"): like("review-item-ask"),
    ("review-question", "GET"): like("review-question GET"),
    ("review-question", "POST"): like("review-question-answer"),
    ("spot-checks", "GET"): like("spot-checks GET"),
    ("spot-check", "GET"): like("spot-check GET"),
    ("spot-check", "POST"): like("spot-check-answer"),
    ("review-spot-checks", "POST"): like("campaign-spot-checks"),
    ("review-spot-follow-up", "POST"): like("spot-check-follow-up"),
    ("review-bulk", "POST"): like("campaign-bulk", "campaign-bulk-preview"),
    ("review-item-page", "GET"): like("review-item GET"),
    ("review-item-act", "POST"): like(
        "review-item-reopen", "review-item-restore", "review-cut-retry", "review-cut-except"
    ),
    ("review-recall", "POST"): like("review-item-recall"),
    ("review-reassign", "POST"): like("review-item-reassign"),
    ("review-calendar", "GET"): like("campaign-calendar GET"),
    ("review-compare", "GET"): like("campaign-comparison GET"),
    ("review-evidence", "GET"): like("campaign-samples GET"),  # the page needs no step-up; its file does
    ("review-csv", "GET"): like("campaign-evidence-table GET"),
    ("review-json", "GET"): like("campaign-evidence GET"),
    ("review-pack", "GET"): like("campaign-pack GET"),
    ("review-audit", "GET"): like("campaign-samples GET"),
    ("review-audit", "POST"): like(
        *("campaign-samples", "campaign-questions", "audit-question-answer", "campaign-shares", "evidence-share-end")
    ),
    ("review-sample", "GET"): like("campaign-samples GET"),  # as above
    ("review-sample", "POST"): like("audit-sample-marks"),
    **{(f"review-{name}", "GET"): like("audit-sample-table GET") for name in ("workpaper", "workpaper-json")},
}
