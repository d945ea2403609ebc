"""Cases are drawn from the day's seed; what is drawn from a seed of its own is named here, with the reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests import seeds
from tests.architecture import tree

FIXED: Final = {
    "tests/browser/world.py": "pictures of its pages are compared",
    "tests/deployments/test_thousand.py": "its numbers are measured, and compared over time",
    "tests/governance/what_if/test_rule_changes.py": "a day of which each test knows what is in it",
    "tests/governance/what_if/test_what_if.py": "traffic of which each test knows what is in it",
}
SOURCE: Final = re.compile(r"Random\(|seed\(|derandomize")


def own_seeds(parsed: ast.AST) -> Iterator[int]:
    """Yield the lines in which a seed is written, is none, or is that of the module `random`."""
    for node in ast.walk(parsed):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        is_source = name in {"random.Random", "Random", "random.seed", "hypothesis.seed", "seed"}
        if (is_source and all(isinstance(each, ast.Constant) for each in node.args)) or (
            any(each.arg == "derandomize" and ast.unparse(each.value) == "True" for each in node.keywords)
        ):
            yield node.lineno


def test_cases_are_drawn_from_the_seed_of_the_day() -> None:
    tests = [path for path in tree.files() if path.suffix == ".py" and path.is_relative_to(tree.ROOT / "tests")]
    found = {
        str(path.relative_to(tree.ROOT)): lines
        for path in tests
        if SOURCE.search(text := path.read_text()) and (lines := [*own_seeds(ast.parse(text))])
    }
    assert found.keys() == FIXED.keys(), found


@pytest.mark.parametrize(
    "text",
    [
        "random.Random(7)",
        "random.Random()",
        "Random('x')",
        "random.seed(1)",
        "settings(derandomize=True)",
        "@seed(3)\ndef test() -> None: ...",
    ],
)
def test_a_seed_that_is_written_in_a_test_is_found(text: str) -> None:
    assert [*own_seeds(ast.parse(text))]
    assert not [*own_seeds(ast.parse("random.Random(seed); seeds.chance(3); settings(derandomize=False)"))]


def test_a_seed_gives_the_same_cases_again_and_each_part_others(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [seeds.chance(part).random() for part in (1, 2)]
    assert drawn == [seeds.chance(part).random() for part in (1, 2)]
    assert drawn[0] != drawn[1]
    monkeypatch.setenv(seeds.SEED, "of another day")
    assert seeds.chance(1).random() not in drawn


def test_workers_and_hypothesis_have_the_seed_that_is_printed(pytestconfig: pytest.Config) -> None:
    seeds.pytest_configure(pytestconfig)
    assert seeds.pytest_report_header().endswith(f" SEED={pytestconfig.option.hypothesis_seed}")
