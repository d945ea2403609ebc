"""The pages that lead through the code name files, functions, decisions and other pages that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import tree

DECISIONS: Final = tree.ROOT / "docs" / "decisions"
ARCHITECTURE: Final = tree.ROOT / "docs" / "architecture.md"
PAGES: Final = sorted(
    [
        *(tree.ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(tree.ROOT / "docs").glob("*.md"),
        *DECISIONS.glob("*.md"),
    ]
)
CREATED: Final = re.compile(r"^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?(?:FUNCTION|TRIGGER|VIEW) (\w+)", re.MULTILINE)
QUESTIONS: Final = 30
NAMED: Final = re.compile(
    r"`([\w./-]+\.(?:py|sql|html|js|css)|(?:audit|entitlements|governance|tests|scripts)/[\w./-]*/)(?:::[\w.]+)?`"
)
ANSWER: Final = re.compile(r"`([\w./-]+/[\w.-]*|[\w-]+\.\w+|Makefile)(?:::([\w.]+))?`")
"""A path from the project's folder on, and what to look at in that file."""
LINK: Final = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
PICTURE: Final = re.compile(r'\bsrc(?:set)?="([^"]+)"')
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
TO_A_DECISION: Final = re.compile(r"decisions/(\d+)|\b[Dd]ecision (\d+)\b")
UNUSUAL: Final = re.compile(r"\b(?:whoever|whomever|somebody|nobody|said|told|hers|anew)\b", re.IGNORECASE)
LIMITS: Final = tree.ROOT / "docs" / "limits.md"
READERS: Final = ("Analysts and approvers", "Security", "Platform", "Auditors", "Client developers")
CODERS: Final = "People who change the code"
README_LINES, README_WORDS = 150, 1_500
LIMIT_WORDS: Final = 50
QUOTED: Final = re.compile(r'"[^"]*"')
SENTENCE_END: Final = re.compile(r"[.?!] +(?=[A-Z`*])")
CODE_BLOCK: Final = re.compile(r"```.*?```", re.DOTALL)
CODE: Final = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(tree.ROOT))


@cache
def ends() -> set[str]:
    """Return every file and folder of the project, and every end of its path: `stock/api.py` names one file."""
    files = [path.relative_to(tree.ROOT) for path in tree.files()]
    known = {*files, *(folder for path in files for folder in path.parents)}
    return {"/".join(path.parts[start:]) for path in known for start in range(len(path.parts))}


def defined(path: Path) -> set[str]:
    """Return what a file defines: functions, classes, their methods and module constants, or what its SQL creates."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return set(CREATED.findall(text))
    names: set[str] = set()
    for node in ast.parse(text).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{each.name}" for each in body if isinstance(each, ast.FunctionDef))}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def headings(page: Path) -> set[str]:
    """Return what a link to a heading of a page is called."""
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in HEADING.findall(text)}


def broken(text: str) -> list[str]:
    """Return each `path` or `path::name` of a text that leads nowhere."""
    return [
        f"{path}::{name}" if name else path
        for path, name in ANSWER.findall(text)
        if not (tree.ROOT / path).exists() or (name and name not in defined(tree.ROOT / path))
    ]


def questions() -> dict[str, str]:
    """Return the answer to each question of the architecture page."""
    rows = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_files_and_folders_that_exist(page: Path) -> None:
    named = {name.rstrip("/") for name in NAMED.findall(page.read_text(encoding="utf-8"))}
    assert sorted(named - ends()) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_functions_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert broken(" ".join(match[0] for match in ANSWER.finditer(text) if match[2])) == []


def test_the_architecture_page_answers_the_questions_of_a_newcomer_with_files_that_exist() -> None:
    answers = questions()
    assert len(answers) >= QUESTIONS
    assert {question for question, answer in answers.items() if not ANSWER.search(answer)} == set()
    assert {question: lost for question, answer in answers.items() if (lost := broken(answer))} == {}


def test_a_renamed_file_or_function_breaks_the_answer_that_names_it() -> None:
    here = "tests/architecture/test_docs.py"
    assert broken(f"`{here}`, `{here}::broken`, `{here}::QUESTIONS` and `docs/decisions/`") == []
    assert broken(f"`{here}::mended` in `tests/architecture/docs.py`") == [
        f"{here}::mended",
        "tests/architecture/docs.py",
    ]


@pytest.mark.parametrize("page", [*PAGES, *sorted((tree.ROOT / "docs/operate").glob("*.md"))], ids=name_of)
def test_a_link_or_picture_leads_to_a_file_that_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [*(link for link, _ in LINK.findall(text)), *PICTURE.findall(text)]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted((tree.ROOT / "docs/operate").glob("*.md"))], ids=name_of)
def test_a_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    places = {(page.parent / link if link else page, heading) for link, heading in links if heading}
    assert {(place, heading) for place, heading in places if heading not in headings(place)} == set()


@pytest.mark.parametrize("name", ["threat-model", "capabilities", "limits"])
def test_no_row_or_limit_stands_on_a_page_twice(name: str) -> None:
    lines = (tree.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    firsts = sorted(line.split(" | ")[0] for line in lines if line.startswith(("| ", "- ")))
    assert [one for one, other in pairwise(firsts) if one == other] == []


def test_each_decision_has_a_line_in_the_index_and_its_number_in_its_title() -> None:
    decisions = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| ", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    assert listed == [(path.name[:4], path.name) for path in decisions]
    assert [path.name for path in decisions if not path.read_text().startswith(f"# {int(path.name[:4])}. ")] == []


def test_each_reference_to_a_decision_names_one_that_exists() -> None:
    numbers = {int(path.name[:4]) for path in DECISIONS.glob("0*.md")}
    texts = {
        name_of(path): path.read_text(encoding="utf-8")
        for path in tree.files()
        if path.suffix in {".py", ".md", ".sql", ".html", ".toml"}
    }
    lost = {(name, int(a or b)) for name, text in texts.items() for a, b in TO_A_DECISION.findall(text)}
    assert sorted(each for each in lost if each[1] not in numbers) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_for_newcomers_uses_usual_words(page: Path) -> None:
    assert UNUSUAL.findall(CODE.sub("", page.read_text(encoding="utf-8"))) == []


def test_the_readme_is_read_in_a_few_minutes_and_can_be_tried_at_once() -> None:
    text = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= README_WORDS
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "Try it"


def test_the_readme_names_ten_limits_and_the_page_of_all() -> None:
    text = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## What it does not do yet\n")[2].partition("\n## ")[0]
    assert "(docs/limits.md)" in section
    assert re.findall(r"^(\d+)\. ", section, re.MULTILINE) == [str(number) for number in range(1, 11)]


def wordy(limit: str) -> bool:
    """Say whether a limit is more than one sentence of bounded length; quoted aims and links' targets do not count."""
    bare = QUOTED.sub('""', re.sub(r"\]\([^)]*\)", "]", limit))
    return SENTENCE_END.search(bare) is not None or not bare.endswith(".") or len(bare.split()) > LIMIT_WORDS


def test_each_limit_is_one_sentence_in_the_group_of_those_who_care() -> None:
    groups = re.split(r"^## ", LIMITS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [group.partition("\n")[0] for group in groups] == [*READERS, CODERS]
    for group in groups:
        lines = [line for line in group.splitlines()[1:] if line]
        assert [line for line in lines if not line.startswith(("### ", "- "))] == []
        assert lines[0].startswith("### ")
        assert [line for line in lines if line.startswith("- ") and wordy(line[2:])] == []


@pytest.mark.parametrize(
    ("limit", "long"),
    [
        ("A fails.", False),
        ('"It works. Always": it works in [A](b.md).', False),
        ("A fails. B fails.", True),
        ("A fails", True),
        (f"{'word ' * LIMIT_WORDS}more.", True),
    ],
)
def test_a_limit_of_two_sentences_or_too_many_words_is_found(limit: str, *, long: bool) -> None:
    assert wordy(limit) is long
