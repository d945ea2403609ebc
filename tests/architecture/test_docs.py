"""The pages that lead through the code name files and functions that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import tree

ARCHITECTURE: Final = tree.ROOT / "docs" / "architecture.md"
PAGES: Final = sorted(
    [
        *(tree.ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(tree.ROOT / "docs" / name for name in ("architecture.md", "glossary.md", "threat-model.md")),
    ]
)
CREATED: Final = re.compile(r"^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?(?:FUNCTION|TRIGGER|VIEW) (\w+)", re.MULTILINE)
QUESTIONS: Final = 30
NAMED: Final = re.compile(
    r"`([\w./-]+\.(?:py|sql|html|js|css)|(?:audit|entitlements|governance|tests|scripts)/[\w./-]*/)(?:::[\w.]+)?`"
)
ANSWER: Final = re.compile(r"`([\w./-]+/[\w.-]*|[\w-]+\.\w+|Makefile)(?:::([\w.]+))?`")
"""A path from the project's folder on, and what to look at in that file."""


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
