# ruff: noqa: T201 - the measures are printed for their reader
"""The size of the house: printed, and held to its bounds. `words.txt` lists every word of a public name."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import tree

WORDS = Path(__file__).with_name("words.txt")
NESTING = {
    *(("governance", "console"), ("governance", "reviews")),
    *(("entitlements", "edge"), ("entitlements", "gateway"), ("entitlements", "node")),
}
"""Rooms whose folders are rooms."""
NO_WORDS = {"around", "hers", "nobody", "said", "somebody", "told", "whoever"}
"""Words that say nothing in a name."""
NOUNS = {"mapping", "onboarding", "paging", "staging"}
"""Names that end like a gerund and are nouns of the trade."""


def modules() -> dict[str, ast.Module]:
    """Return the modules of the product without its migrations, by path."""
    return {name: module for name, module, _ in tree.modules(*tree.PRODUCTS) if "/migrations/" not in name}


def p95(sizes: list[int]) -> int:
    """Return the size that 95 of 100 do not exceed."""
    return sorted(sizes)[int(len(sizes) * 0.95)]


def room(name: str) -> str:
    """Return the room of a module: a folder of a floor, or one in a room that nests."""
    parts = Path(name).parts[:-1]
    return "/".join(parts[: 3 if parts[:2] in NESTING else 2])


def functions(module: ast.Module) -> Iterator[int]:
    """Yield how many lines each function has."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def split(name: str) -> list[str]:
    """Return the words of a name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def words() -> set[str]:
    """Return each word of the name of a module, public class, function or method."""
    names = {part for name in modules() for part in Path(name).with_suffix("").parts}
    for module in modules().values():
        nodes = (node for node in ast.walk(module) if isinstance(node, ast.ClassDef | ast.FunctionDef))
        names.update(node.name for node in nodes if not node.name.startswith("_"))
    return {word for name in names for word in split(name) if len(word) > 1}


def test_no_folder_has_more_than_twenty_modules() -> None:
    folders = Counter(str(Path(name).parent) for name in modules() if not name.endswith("__init__.py"))
    print("modules in the largest folder:", folders.most_common(3))
    assert {folder: count for folder, count in folders.items() if count > 20} == {}


def test_few_modules_are_named_by_a_gerund() -> None:
    names = [Path(name).stem for name in modules() if not name.endswith("__init__.py")]
    gerunds = [name for name in names if name.endswith("ing") and name not in NOUNS]
    print(f"gerunds: {len(gerunds)} of {len(names)}")
    assert len(gerunds) < 0.06 * len(names), gerunds


def test_files_functions_and_rooms_are_small() -> None:
    files, rooms = {}, defaultdict[str, int](int)
    for name in modules():
        files[name] = len((tree.ROOT / name).read_text().splitlines())
        rooms[room(name)] += files[name]
    sizes = [size for module in modules().values() for size in functions(module)]
    print("files p95:", p95([*files.values()]), "functions p95:", p95(sizes), "source lines:", sum(files.values()))
    assert p95([*files.values()]) <= 300
    assert p95(sizes) <= 26
    floors = {"audit", "entitlements", "governance", "governance/reviews"}
    assert {name: count for name, count in rooms.items() if count > 2500 and name not in floors} == {}


def test_each_word_of_a_public_name_is_listed_and_each_listed_word_is_used() -> None:
    listed = WORDS.read_text().split()
    assert listed == sorted(set(listed))
    assert words() - set(listed) == set(), (
        "a new word in a public name is a decision: choose one of the list, or add it"
    )
    assert set(listed) - words() == set(), "no public name uses these words any more"


def test_no_listed_word_says_nothing() -> None:
    assert set(WORDS.read_text().split()) & NO_WORDS == set()
