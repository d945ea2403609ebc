"""Tables of a pack spoiled one way each, with the equation that finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ENDS_EARLIER = {"decision": "x", "verb": "certify", "valid_until": "2030-01-01", "counts": False}
WRONG: list[tuple[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]], str]] = [
    ("03_population", lambda rows: rows[1:], "population_rows_missing"),
    ("03_population", lambda rows: [{**rows[0], "payload": "{}"}], "population_rows_changed"),
    ("03_population", lambda rows: [{**rows[0], "row_sha256": "0" * 64}], "population_hash_differs"),
    ("05_items", lambda rows: [{**rows[0], "outcome": "in_review"}], "items_without_outcome"),
    ("05_decisions", lambda rows: [{**rows[0], "outcome": ""}], "lines_without_outcome"),
    ("05_history", lambda rows: [*rows, {**rows[0], **ENDS_EARLIER}], "cuts_without_remediation"),
    ("06_remediation", lambda rows: [*rows, {**rows[0], "decision": "x"}], "remediations_without_cut"),
    ("03_late_arrivals", lambda rows: rows[1:], "late_arrivals_missing"),
    ("03_ephemeral", lambda rows: rows[1:], "ephemeral_missing"),
    ("05_items", lambda rows: [{**rows[0], "outcome": "certify"}, *rows[1:]], "outcome_counts_differ"),
    ("05_items", lambda rows: rows[1:], "items_without_population"),
    ("06_remediation", lambda rows: [], "cuts_without_remediation"),  # noqa: ARG005 - called with them
    ("06_remediation", lambda rows: [{**rows[0], "state": "applied"}], "cuts_not_proven"),
    ("05_history", lambda rows: [{**rows[0], "counts": False}], "decided_items_without_decision"),
    ("05_comments", lambda rows: [{**rows[0], "text": "Another."}], "words_not_as_recorded"),
    ("05_questions", lambda rows: [{**rows[0], "text": "Another."}], "words_not_as_recorded"),
    ("05_questions", lambda rows: [{**rows[0], "answer": "Another."}], "words_not_as_recorded"),
    ("05_questions", lambda rows: rows[1:], "words_not_as_recorded"),
    ("05_comments", lambda rows: rows[1:], "words_not_as_recorded"),
    ("05_comments", lambda rows: [*rows, {**rows[0], "comment": "x"}], "words_not_as_recorded"),
]
