"""The first page of a pack, for people: what was reviewed, what came of it, that it adds up, who signed, as a PDF.

The same review gives the same bytes. Plots have the geometry of those in the console (`charts`), and a table each.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from governance import charts

from . import verify

_BLUE, _GREY = colors.HexColor("#1f5fbf"), colors.HexColor("#6b7280")
_LABEL: Final = 110.0
_WORDS: Final = {
    "certify": "Kept",
    "reduce": "Kept in part",
    "revoke": "Removed",
    "no_response": "Nobody answered",
    "carried_forward": "Carried forward",
    "superseded": "Ended meanwhile",
    "excluded": "Left out",
}
_GRID: Final = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.25, _GREY),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#f3f4f6")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
)
_STYLES: Final = getSampleStyleSheet()


def pdf(folder: verify.Folder, scope: Mapping[str, Any], told: Mapping[str, Any]) -> bytes:
    """Write the summary of a pack from its own tables; `told` holds `tie_out`, `sign_off` and `rows` of the tables.

    And `blast`: the agents of which something was cut, with how far each reached before and after.
    """
    written = io.BytesIO()
    title = f"Evidence of the access review {shown(scope['name'])}"
    document = SimpleDocTemplate(written, pagesize=A4, title=title, author="Mandate", lang="en", invariant=1)
    outcomes = [(_WORDS.get(name, name), count) for name, count in sorted(scope["outcomes"].items())]
    document.build(
        [
            _text(title, "Title"),
            _text(
                f"{scope['population_rows']} accesses as {sum(scope['outcomes'].values())} items, taken "
                f"{scope['snapshot_at']}, due {scope['due_at']}, closed {scope['closed_at']}. Owner: {scope['owner']}."
            ),
            _text("Outcomes", "Heading2"),
            _bars(outcomes),
            _grid(["Outcome", "Items"], outcomes),
            *_progress(folder, scope),
            _text("How it was answered", "Heading2"),
            _grid(*_quality(folder)),
            _text("Cuts", "Heading2"),
            _grid(
                ["State", "Cuts"],
                sorted(Counter(row["state"] for row in verify.read(folder, "06_remediation")).items()),
            ),
            *_proofs(folder),
            *_blast(told.get("blast", {})),
            _text("Does it add up?", "Heading2"),
            _grid(
                ["What is compared", "Difference"], [(name.replace("_", " "), n) for name, n in told["tie_out"].items()]
            ),
            _text("Signed off", "Heading2"),
            _text(f"{told['sign_off']['name']} ({told['sign_off']['by']}), {told['sign_off']['at']}:"),
            _text(f"\u201c{told['sign_off']['statement']}\u201d"),
            _text("What is in the pack", "Heading2"),
            _grid(["Table", "Rows"], sorted(told["rows"].items())),
            _text("How to check it without Mandate: README.md, with verify.py or with openssl alone."),
            _text(f"Hash of the population: {scope['population_sha256']}", "Code"),
        ]
    )
    return written.getvalue()


def shown(text: object) -> str:
    """Write out what the fonts of every reader lack, so that nothing vanishes: a letter of theirs as its number."""
    said = "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in str(text))
    return "".join(each if each.encode("cp1252", "ignore") else f"\\u{{{ord(each):x}}}" for each in said)


def _text(text: str, style: str = "BodyText") -> Flowable:
    return Paragraph(escape(shown(text)), _STYLES[style])


def _grid(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Flowable:
    cells = [[_text(str(cell)) for cell in row] for row in [head, *rows]]
    table = Table(cells, repeatRows=1, hAlign="LEFT")
    table.setStyle(_GRID)
    return table


def _bars(rows: Sequence[tuple[str, int]]) -> Flowable:
    laid = charts.bars([(label, value, "") for label, value in rows])
    height = max((bar.y for bar in laid), default=0.0) + 24
    drawing, room = Drawing(480, height), 480 - _LABEL - 40
    for bar in laid:
        y, width = height - bar.y - 18, room * bar.width / charts.WIDTH
        drawing.add(String(0, y + 4, shown(bar.label), fontSize=9))
        drawing.add(Rect(_LABEL, y, max(width, 0.5), 14, fillColor=_BLUE, strokeColor=None))
        drawing.add(String(_LABEL + width + 4, y + 4, str(bar.value), fontSize=9))
    return drawing


def _progress(folder: verify.Folder, scope: Mapping[str, Any]) -> list[Flowable]:
    """Draw what was open each day, from the answers that count, with its table."""
    days = Counter(_day(row["decided_at"]) for row in verify.read(folder, "05_history") if row["counts"])
    total = sum(scope["outcomes"].values())
    first, due, last = (_day(scope[name]) for name in ("snapshot_at", "due_at", "closed_at"))
    if not days or last < first:
        return []
    laid = charts.burn_down(total, sorted(days.items()), first, last, due)
    drawing = _lines((laid.ideal, _GREY), (laid.line, _BLUE))
    answered = [(day.isoformat(), count) for day, count in sorted(days.items())]
    head = _text("Open items by day, and the straight line to the day they were due", "Heading2")
    return [head, drawing, Spacer(1, 6), _grid(["Day", "Answers that count"], answered)]


def _proofs(folder: verify.Folder) -> list[Flowable]:
    """Draw which share of the cuts was proven within which time of its decision, with its table; nothing before one."""
    spans = proven_after(folder)
    if not spans:
        return []
    done = [(word, f"{100 * sum(span <= step for span in spans) // len(spans)} %") for step, word in charts.PROOF_STEPS]
    head = _text("From a cut to its proof: the share within which time, up to the limit of seven days", "Heading2")
    drawing = _lines((charts.within(spans, charts.PROOF_LIMIT), _BLUE))
    return [head, drawing, Spacer(1, 6), _grid(["Within", "Proven"], done)]


def _blast(told: Mapping[str, Any]) -> list[Flowable]:
    """Draw how far each agent of which something was cut reached before and after, with its table; else nothing."""
    rows = told.get("agents", [])
    if not rows:
        return []
    drawing, room = Drawing(480, 20 * len(rows)), 480 - _LABEL - 20
    for number, row in enumerate(rows, start=1):
        y = 20 * (len(rows) - number) + 10
        was, now = (_LABEL + room * row[name] / 100 for name in ("before", "after"))
        drawing.add(String(0, y - 3, shown(row["agent"])[:20], fontSize=9))
        drawing.add(Line(_LABEL, y, _LABEL + room, y, strokeColor=_GREY, strokeWidth=0.25))
        drawing.add(Line(now, y, was, y, strokeColor=_BLUE, strokeWidth=2))
        drawing.add(Rect(was - 4, y - 4, 8, 8, fillColor=colors.white, strokeColor=_BLUE))
        drawing.add(Circle(now, y, 4.5, fillColor=_BLUE, strokeColor=None))
    head = _text("How far agents reach, of 100: a square for before, a dot for after", "Heading2")
    table = _grid(["Agent", "Before", "After"], [(row["agent"], row["before"], row["after"]) for row in rows])
    more = [_text(f"And {told['hidden']} more agents of which less was cut.")] if told["hidden"] else []
    return [head, drawing, Spacer(1, 6), table, *more]


def proven_after(folder: verify.Folder) -> list[float]:
    """Return how many seconds after its decision, or its day, each cut was proven, of those that were."""
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


def _lines(*lines: tuple[str, colors.Color]) -> Flowable:
    """Draw lines of points, each in its colour, at the size of the page."""
    drawing, scale = Drawing(480, 110), 480 / charts.WIDTH
    for line, colour in lines:
        points = [tuple(map(float, each.split(","))) for each in line.split()]
        flat = [value for x, y in points for value in (x * scale, 100 - y * 100 / charts.HEIGHT)]
        drawing.add(PolyLine(flat, strokeColor=colour, strokeWidth=1.5))
    return drawing


def _day(said: str) -> date:
    return datetime.fromisoformat(said).date()


def _quality(folder: verify.Folder) -> tuple[list[str], list[list[object]]]:
    names = ["risk", "answers", "kept", "cut", "could_not_judge", "in_bulk", "against_suggestion", "after_due"]
    rows = [[row[name] for name in names] for row in verify.read(folder, "09_quality")]
    return [name.replace("_", " ") for name in names], rows
