"""The summary of a pack as a PDF: what was reviewed, the outcomes, the tie-out and the sign-off.

The same review gives the same bytes. The PDF is tagged (PDF/UA-1, ISO 14289-1), so that a screen reader can read it in
order. `summary.typ` is the layout; this module builds the data, which the template shows and never runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from governance.charts import geometry, plots
from governance.charts.plot import Plot
from governance.reviews.pack_check import verify

from . import typeset

_TEMPLATE: Final = Path(__file__).with_name("summary.typ").read_bytes()
_WORDS: Final = {
    "certify": "Kept",
    "reduce": "Kept in part",
    "revoke": "Removed",
    "no_response": "Nobody answered",
    "carried_forward": "Carried forward",
    "superseded": "Ended meanwhile",
    "excluded": "Left out",
}
type Block = dict[str, Any]


def pdf(folder: verify.Folder, scope: Mapping[str, Any], contents: Mapping[str, Any]) -> bytes:
    """Write the summary of a pack from its own tables.

    `contents` holds `tie_out`, `sign_off`, the `rows` of each table, and `blast`: agents with their blast radius before
    and after.
    """
    title = f"Evidence of the access review {scope['name']}"
    blocks = [
        *_reviewed(scope),
        *_outcomes(folder, scope),
        *_cut(folder, contents.get("blast", {})),
        *_signed(contents),
    ]
    closed = datetime.fromisoformat(scope["closed_at"])
    return _set(
        typeset.printable_data({"title": title, "short": f"Access review {scope['campaign']}", "blocks": blocks}),
        closed,
    )


def _set(data: object, dated: datetime) -> bytes:
    return typeset.pdf(_TEMPLATE, data, dated)


def _section(words: str, level: int = 1) -> Block:
    return {"kind": "section", "words": words, "level": level}


def _text(words: str) -> Block:
    return {"kind": "words", "words": words}


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], nothing: str = "") -> Block:
    """Return a table block; without rows, a text block instead."""
    return {"kind": "table", "head": head, "rows": rows} if rows else _text(nothing)


def _drawing(svg: str, words: str) -> Block:
    return {"svg": svg, "words": words}


def _plot(plot: Plot, caption: str, words: str) -> Block:
    ends = {"left": plot.left, "right": plot.right, "top": plot.top}
    return {"kind": "plot", "caption": caption, **_drawing(plot.svg, words), **ends}


def _reviewed(scope: Mapping[str, Any]) -> list[Block]:
    facts = [
        ("Accesses", scope["population_rows"]),
        ("Items", sum(scope["outcomes"].values())),
        ("Population taken", scope["snapshot_at"]),
        ("Due", scope["due_at"]),
        ("Closed", scope["closed_at"]),
        ("Owner", scope["owner"]),
        ("Hash of the population", scope["population_sha256"]),
    ]
    return [_section("What was reviewed"), _table(["What", "Value"], [(name, str(value)) for name, value in facts])]


def _outcomes(folder: verify.Folder, scope: Mapping[str, Any]) -> list[Block]:
    total = sum(scope["outcomes"].values())
    outcomes = [
        (_WORDS.get(name, name), count, _drawing(plots.bar(count, total), f"A bar: {count} of {total} items."))
        for name, count in sorted(scope["outcomes"].items())
    ]
    return [
        _section("What came of it"),
        _section("Outcomes", 2),
        _table(["Outcome", "Items", "Of all items"], outcomes, "There was no item."),
        *_progress(folder, scope),
        _section("How it was answered", 2),
        _table(*_quality(folder), "Nobody answered."),
        _section("Spot checks", 2),
        *_checked(scope.get("spot_checks")),
    ]


def _checked(plan: Mapping[str, Any] | None) -> list[Block]:
    """Return the results of the spot checks: how far the checkers agree with the reviewers."""
    if plan is None:
        return [_text("Not drawn: nobody switched spot checks on.")]
    if not plan["sampled"]:
        return [_text("Not drawn: there was no answer to draw from.")]
    agreed = plan["agreement"]
    facts = [
        ("Answers asked again", f"{plan['sampled']} of {plan['frame']}, {plan['share']} %"),
        ("Answered", plan["answered"]),
        ("Of which could not be judged", plan["could_not_judge"]),
        ("Not answered in time", plan["unanswered"]),
        ("Nobody independent enough", plan["nobody"]),
        (
            "Agreement",
            f"{agreed['agree']} of {agreed['n']}, {agreed['percent']} %" if agreed["n"] else "none to compare",
        ),
    ]
    return [_table(["What", "Value"], [(name, str(value)) for name, value in facts])]


def _progress(folder: verify.Folder, scope: Mapping[str, Any]) -> list[Block]:
    """Draw the open items of each day, from the answers that count, with a table."""
    days = Counter(_day(row["decided_at"]) for row in verify.read(folder, "05_history") if row["counts"])
    total = sum(scope["outcomes"].values())
    first, due, last = (_day(scope[name]) for name in ("snapshot_at", "due_at", "closed_at"))
    if not days or last < first:
        return []
    laid = geometry.burn_down(total, sorted(days.items()), first, last, due)
    open_after = dict(laid.days)
    caption = "Dashed is the straight line to the day they were due, which stands upright."
    words = f"A line of the open items: {total} on {first}, {open_after[last]} on {last}. They were due on {due}."
    answered = [(day.isoformat(), count, open_after.get(day, "")) for day, count in sorted(days.items())]
    return [
        _section("Open items by day", 2),
        _plot(plots.burn_down(laid, ()), caption, words),
        _table(["Day", "Answers that count", "Open after it"], answered),
    ]


def _quality(folder: verify.Folder) -> tuple[list[str], list[list[object]]]:
    names = ["risk", "answers", "kept", "cut", "could_not_judge", "in_bulk", "against_suggestion", "after_due"]
    rows = [[row[name] for name in names] for row in verify.read(folder, "09_quality")]
    return [name.replace("_", " ").capitalize() for name in names], rows


def _cut(folder: verify.Folder, blast: Mapping[str, Any]) -> list[Block]:
    states = Counter(row["state"] for row in verify.read(folder, "06_remediation"))
    return [
        _section("What was cut"),
        _table(["State", "Cuts"], sorted(states.items()), "Nothing was cut."),
        *_proofs(folder),
        *_blast(blast),
    ]


def _proofs(folder: verify.Folder) -> list[Block]:
    """Draw the share of removals verified within a time of their decisions, with a table; nothing without any."""
    spans = proven_after(folder)
    if not spans:
        return []
    plot = plots.within(spans, geometry.PROOF_LIMIT, ("Within", "Proven"), geometry.PROOF_STEPS)
    caption = "The share that was proven within which time, up to the limit of seven days; time by its logarithm."
    words = f"A line that climbs as cuts are proven: {', '.join(f'{done} within {word}' for word, done in plot.rows)}."
    return [
        _section("From a cut to its proof", 2),
        _plot(plot, caption, words),
        _table(plot.heads, plot.rows),
    ]


def _blast(blast: Mapping[str, Any]) -> list[Block]:
    """Draw the blast radius of each agent before and after, beside its numbers; nothing without agents."""
    rows = [
        (agent, was, now, _drawing(plots.ends(was, now), f"A line from {was} to {now}, of 100."))
        for agent, was, now in ((row["agent"], row["before"], row["after"]) for row in blast.get("agents", []))
    ]
    if not rows:
        return []
    more = [_text(f"And {blast['hidden']} more agents of which less was cut.")] if blast["hidden"] else []
    head = ["Agent", "Before", "After", "Of 100: square before, dot after"]
    return [_section("How far agents reach", 2), _table(head, rows), *more]


def proven_after(folder: verify.Folder) -> list[float]:
    """Return the seconds from the decision, or its day, to the verification of each verified removal."""
    proven = {
        row["decision"]: row["verified_at"] for row in verify.read(folder, "06_remediation") if row["verified_at"]
    }
    return [
        max(
            (
                datetime.fromisoformat(proven[row["decision"]])
                - datetime.fromisoformat(row["effective_at"] or row["decided_at"])
            ).total_seconds(),
            0,
        )
        for row in verify.read(folder, "05_history")
        if row["decision"] in proven
    ]


def _signed(contents: Mapping[str, Any]) -> list[Block]:
    """Return the page with the tie-out, the sign-off and its words, and the contents of the pack."""
    signed = contents["sign_off"]
    return [
        {"kind": "page"},
        _section("Does it add up?"),
        _table(
            ["What is compared", "Difference"], [(name.replace("_", " "), n) for name, n in contents["tie_out"].items()]
        ),
        _section("Signed off"),
        _text(f"{signed['name']} ({signed['by']}), {signed['at']}:"),
        {"kind": "quote", "lines": re.split(r"\r?\n", f"\u201c{signed['statement']}\u201d")},
        _section("What is in the pack"),
        _table(["Table", "Rows"], sorted(contents["rows"].items())),
        _text("How to check it without Mandate: README.md, with verify.py or with openssl alone."),
    ]


def _day(moment: str) -> date:
    return datetime.fromisoformat(moment).date()
