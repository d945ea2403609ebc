"""The summary of a pack is a tagged PDF: a program says it aloud in order, and nothing of what it is told is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PageObject, PdfReader, mult

from governance.reviews.pack import description, summary, typeset
from tests import seeds
from tests.architecture import tree

RUNS = '#read("/etc/passwd") #{1 + 1} *x* _y_ $ x^2 $ <label> @ref `code` = head -- ... \\u{41} // c /* d */ [x]'
HIDES = "Łukasz Żółć Ωμέγα Анна שלום 山 👩\u200d👧 e\u0301 \u202eevil \x00\x1b \u200b \ue000"
HOSTILE = f"{RUNS} {'W' * 1500} {HIDES}"
LETTERS = 'Łukasz Żółć Ωμέγα Анна "#$%&*<>@[\\]^_`{|}~'
RISKS = {"could_not_judge": 0, "in_bulk": 0, "against_suggestion": 1, "after_due": 0}
PROVEN = "100 % within 1 min, 100 % within 1 h, 100 % within 1 d, 100 % within 3 d, 100 % within 7 d"
DAYS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tables of a review of sixty days: two answers a day, each third day a cut, all but the last proven."""
    days = [datetime.fromtimestamp(1_780_000_000 + 86_400 * day, UTC) for day in range(DAYS)]
    said = [
        {"decision": f"{n}-{part}", "counts": True, "decided_at": day.isoformat(), "effective_at": ""}
        for n, day in enumerate(days)
        for part in "ab"
    ]
    cuts = [
        {"decision": f"{n}-a", "state": "verified", "verified_at": day.replace(second=59).isoformat()}
        for n, day in list(enumerate(days))[::3]
    ]
    cuts[-1].update(state="open", verified_at="")
    care = [{"risk": risk, "answers": 60, "kept": 50, "cut": 10, **RISKS} for risk in ("high", "low")]
    for name, rows in (("05_history", said), ("06_remediation", cuts), ("09_quality", care)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def scope(**changed: object) -> dict[str, Any]:
    return {
        "campaign": "q3",
        "name": "Third quarter",
        "owner": "ana",
        "snapshot_at": "2026-05-28T20:26:40.000000Z",
        "due_at": "2026-07-28T20:26:40.000000Z",
        "closed_at": "2026-07-29T20:26:40.123456Z",
        "population_rows": 400,
        "population_sha256": "9f86d081884c7d65" * 4,
        "outcomes": {"certify": 100, "revoke": 20, "no_response": 3},
        "spot_checks": None,
        **changed,
    }


def told(**changed: object) -> dict[str, Any]:
    return {
        "tie_out": {"population_rows_missing": 0, "items_without_outcome": 0},
        "sign_off": {"name": "Ana", "by": "ana", "at": "2026-07-30", "statement": "I looked.\r\nI sign."},
        "rows": {"03_population": 400, "14_control_mapping": 21},
        "blast": {"agents": [{"agent": "bot", "before": 70, "after": 20}], "hidden": 2},
        **changed,
    }


def read(written: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(written), strict=True)


def root(pdf: PdfReader) -> Any:  # noqa: ANN401 - an object of pypdf, which is anything
    return pdf.trailer["/Root"]


def structure(pdf: PdfReader) -> list[dict[str, Any]]:
    """Return the elements of the structure, in the order in which they are said."""
    return list(_below(root(pdf)["/StructTreeRoot"]))


def _below(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - an element, an array or a number
    at = node.get_object() if hasattr(node, "get_object") else node
    if isinstance(at, list):
        for each in at:
            yield from _below(each)
    elif isinstance(at, dict):
        if "/S" in at:
            yield at
        if "/K" in at:
            yield from _below(at["/K"])


def text(pdf: PdfReader) -> str:
    return "\n".join(page.extract_text() for page in pdf.pages)


def test_it_says_that_it_is_tagged_which_language_it_is_in_and_what_it_is_called(folder: Path) -> None:
    pdf = read(summary.pdf(folder, scope(), told()))
    says = root(pdf)
    assert says["/MarkInfo"]["/Marked"].value is True
    assert says["/Lang"] == "en"
    assert says["/ViewerPreferences"]["/DisplayDocTitle"].value is True
    assert pdf.metadata is not None
    assert (pdf.metadata.title, pdf.metadata.author) == ("Evidence of the access review Third quarter", "Mandate")
    assert pdf.metadata.creation_date == datetime(2026, 7, 29, 20, 26, 40, tzinfo=UTC), "when the review was closed"
    assert b"<pdfuaid:part>1</pdfuaid:part>" in says["/Metadata"].get_data()


def test_headings_are_nested_and_are_its_bookmarks(folder: Path) -> None:
    pdf = read(summary.pdf(folder, scope(), told()))
    headings = [(one["/S"], one["/T"]) for one in structure(pdf) if re.match(r"/H\d", one["/S"])]
    assert headings == [
        ("/H1", "What was reviewed"),
        ("/H1", "What came of it"),
        ("/H2", "Outcomes"),
        ("/H2", "Open items by day"),
        ("/H2", "How it was answered"),
        ("/H2", "Spot checks"),
        ("/H1", "What was cut"),
        ("/H2", "From a cut to its proof"),
        ("/H2", "How far agents reach"),
        ("/H1", "Does it add up?"),
        ("/H1", "Signed off"),
        ("/H1", "What is in the pack"),
    ]
    nested: list[Any] = [one for part in pdf.outline for one in (part if isinstance(part, list) else [part])]
    assert [one.title for one in nested] == [words for _level, words in headings]


def test_tables_have_a_row_of_headings_that_is_said_once_and_seen_on_each_page(folder: Path) -> None:
    pdf = read(summary.pdf(folder, scope(), told()))
    kinds = [one["/S"] for one in structure(pdf)]
    assert (kinds.count("/Table"), kinds.count("/THead"), kinds.count("/TBody")) == (9, 9, 9)
    heads = [one for one in structure(pdf) if one["/S"] == "/TH"]
    assert len(heads) == 2 + 3 + 3 + 8 + 2 + 2 + 4 + 2 + 2
    assert all(any(each.get("/Scope") == "/Column" for each in one["/A"]) for one in heads)
    assert sum("Answers that count" in page.extract_text() for page in pdf.pages) > 1, "it goes over a page"
    assert "Page 2 of" in pdf.pages[1].extract_text()


def test_every_drawing_says_in_words_what_it_shows(folder: Path) -> None:
    pdf = read(summary.pdf(folder, scope(), told()))
    assert [one["/Alt"] for one in structure(pdf) if one["/S"] == "/Figure"] == [
        "A bar: 100 of 123 items.",
        "A bar: 3 of 123 items.",
        "A bar: 20 of 123 items.",
        "A line of the open items: 123 on 2026-05-28, 3 on 2026-07-29. They were due on 2026-07-28.",
        f"A line that climbs as cuts are proven: {PROVEN}.",
        "A line from 70 to 20, of 100.",
    ]


def test_what_is_empty_says_so(tmp_path: Path) -> None:
    said = text(read(summary.pdf(tmp_path, scope(outcomes={}), told(blast={}))))
    assert all(words in said for words in ("There was no item.", "Nobody answered.", "Nothing was cut."))
    assert "How far agents reach" not in said


def test_it_says_how_far_the_spot_checks_agree_or_that_none_were_drawn(folder: Path) -> None:
    agreed = {"n": 24, "agree": 21, "percent": 87}
    counts = {"sampled": 30, "answered": 26, "open": 0, "unanswered": 3, "nobody": 1, "could_not_judge": 2}
    plan = {"share": 10, "frame": 300, **counts, "agreement": agreed}

    def shown(checks: object) -> str:
        words = " ".join(text(read(summary.pdf(folder, scope(spot_checks=checks), told()))).split())
        return words[words.index("Spot checks") : words.index("What was cut")]

    for said in (
        *("Answers asked again 30 of 300, 10 %", "Answered 26", "Of which could not be judged 2"),
        *("Not answered in time 3", "Nobody independent enough 1"),
        "Agreement 21 of 24, 87 %",
    ):
        assert said in shown(plan).replace("\u2019", "'"), said
    none = {"n": 0, "agree": 0, "percent": None}
    assert "Agreement none to compare" in shown({**plan, "agreement": none})
    assert "Not drawn: nobody switched spot checks on." in shown(None)
    assert "Not drawn: there was no answer to draw from." in shown({**plan, "sampled": 0})


def test_hostile_words_are_shown_as_they_are_and_run_nothing(folder: Path) -> None:
    signed = {"name": HOSTILE, "by": HOSTILE, "at": HOSTILE, "statement": HOSTILE}
    blast = {"agents": [{"agent": HOSTILE, "before": 9, "after": 1}], "hidden": 0}
    told_all = told(sign_off=signed, blast=blast, tie_out={HOSTILE: 1}, rows={HOSTILE: 1})
    hostile = scope(name=HOSTILE, owner=HOSTILE, campaign=RUNS, outcomes={HOSTILE: 9})
    pdf = read(summary.pdf(folder, hostile, told_all))
    shown = re.sub(r"\s", "", text(pdf))
    for part in (RUNS, typeset.printable(HIDES)):
        assert shown.count(re.sub(r"\s", "", part)) >= 8
    assert "root:" not in shown
    assert pdf.metadata is not None
    assert pdf.metadata.title == f"Evidence of the access review {typeset.printable(HOSTILE)}"
    assert "W" * 60 not in text(pdf), "a long word is broken before the edge of the paper"
    assert min(low for page in pdf.pages for low in _heights(page)) > 30, "nothing is set below it"


def _heights(page: PageObject) -> list[float]:
    """Return how high above the lower edge each piece of text of a page is set."""
    found: list[float] = []

    def look(words: str, cm: list[float], tm: list[float], *_: object) -> None:
        if words.strip():
            found.append(mult(tm, cm)[5])

    page.extract_text(visitor_text=look)
    return found


@pytest.mark.parametrize("asked", ["/etc/passwd", "summary.py", "../README.md", "/README.md", str(Path(__file__))])
def test_the_template_can_read_no_file(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.ROOT)
    monkeypatch.setattr(summary, "_TEMPLATE", f"#read({json.dumps(asked)})".encode())
    with pytest.raises(typst.TypstError, match=r"not found|outside|escape"):
        summary._set({}, datetime.now(UTC))


def test_the_template_takes_nothing_in_and_runs_nothing_that_it_is_told() -> None:
    words = set(re.findall(r"\w+", summary._TEMPLATE.decode().partition("#let")[2]))
    assert not words & {"import", "include", "read", "eval", "plugin", "csv", "yaml", "toml", "xml", "cbor", "link"}


def test_its_fonts_have_every_letter_that_it_does_not_write_out() -> None:
    have = "".join(each for each in map(chr, range(sys.maxunicode + 1)) if typeset.printable(each) == each)
    assert set(LETTERS) <= set(have)
    block = {"kind": "words", "words": " ".join(have)}
    written = summary._set({"title": have, "short": "", "blocks": [block]}, datetime.now(UTC))
    assert written.startswith(b"%PDF-"), "a letter that the fonts lack would be refused, since it breaks PDF/UA"


@settings(max_examples=seeds.cases(1_000, short=25))
@given(st.lists(st.text(max_size=80) | st.text(LETTERS, max_size=80), min_size=1, max_size=12))
def test_no_text_keeps_a_pack_from_being_made(texts: list[str]) -> None:
    blocks = [
        *({"kind": "words", "words": words} for words in texts),
        {"kind": "quote", "lines": texts},
        {"kind": "table", "head": ["Name"], "rows": [[words] for words in texts]},
    ]
    told_all = typeset.printable_data({"title": f"Of {texts[0]}", "short": texts[-1], "blocks": blocks})
    assert summary._set(told_all, datetime.now(UTC)).startswith(b"%PDF-")


def test_the_same_review_gives_the_same_bytes_in_another_process(folder: Path) -> None:
    program = (
        "import sys, json, hashlib, pathlib, django; django.setup()\n"
        "from governance.reviews.pack import summary\n"
        "folder, scope, told = json.load(sys.stdin)\n"
        "print(hashlib.sha256(summary.pdf(pathlib.Path(folder), scope, told)).hexdigest())"
    )
    for changed in ({"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, {"PYTHONHASHSEED": "2", "RAYON_NUM_THREADS": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps([str(folder), scope(), told()]),
            env={**os.environ, **changed, "PYTHONPATH": str(tree.ROOT)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == hashlib.sha256(summary.pdf(folder, scope(), told())).hexdigest()


@pytest.mark.parametrize("name", ["summary.py", "summary.typ", "readme.md", "trigger.sql"])
def test_the_program_that_a_pack_names_is_another_when_anything_of_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / "governance" / name
    file.parent.mkdir()
    file.write_text("one")
    before = description.source_sha256(tmp_path)
    file.write_text("two")
    assert description.source_sha256(tmp_path) != before
