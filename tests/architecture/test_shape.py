import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture import tree

LONGEST_FILE, LONGEST_FUNCTION = 400, 50
MOST_LINES = {"migrations": 3_000, "sql": 3_100}
NAMES_THAT_SAY_NOTHING = {"services", "utils", "helpers", "common", "misc", "util", "helper"}

FILLED_ELSEWHERE = {
    ("entitlements/hooks.py", "DECLARED"),  # the hooks themselves
    ("entitlements/permissions/matrix.py", "DECLARED"),  # an address without a row is closed
    ("entitlements/proposals/proposals.py", "KINDS"),  # a proposal of a kind without a row is confirmed by nobody
    ("governance/console/kit/lists/selection.py", "_LISTS"),  # an act takes in all rows of a listed list alone
}


def _long_files(sources: Iterable[tuple[str, ast.Module, str]]) -> list[str]:
    lengths = {name: text.count("\n") for name, _, text in sources}
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > LONGEST_FILE]


def _long_functions(sources: Iterable[tuple[str, ast.Module, str]]) -> list[str]:
    return [
        f"{name}:{function.lineno} {function.name}"
        for name, module, _ in sources
        for function in tree.functions(module)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]


def _signals(sources: Iterable[tuple[str, ast.Module, str]]) -> list[str]:
    """Return imports of signals."""
    found = []
    for name, module, _ in sources:
        for node in ast.walk(module):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.module == "django.dispatch" or (node.module or "").endswith(".signals"):
                found.append(f"{name}:{node.lineno}")
    return found


def _methods_that_hide_logic(sources: Iterable[tuple[str, ast.Module, str]]) -> list[str]:
    """Return `save` and `delete` of models: a bulk statement passes them by."""
    return [
        f"{name}:{method.lineno} {kind.name}.{method.name}"
        for name, module, _ in sources
        if "models" in Path(name).with_suffix("").parts
        for kind in ast.walk(module)
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and method.name in {"save", "delete"}
    ]


def _registries(sources: Iterable[tuple[str, ast.Module, str]]) -> list[str]:
    """Return collections that other modules fill: while one is empty, what asks it lets everything pass."""
    return [
        f"{name}:{node.lineno} {node.target.id}"
        for name, module, _ in sources
        for node in module.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value is not None
        and ast.unparse(node.value) in {"{}", "[]", "set()"}
        and (node.target.id.isupper() or "Callable" in ast.unparse(node.annotation))
        and (name, node.target.id) not in FILLED_ELSEWHERE
    ]


def test_files_are_short() -> None:
    assert _long_files(tree.modules(*tree.CODE)) == []


def test_functions_are_short() -> None:
    assert _long_functions(tree.modules(*tree.CODE)) == []


@pytest.mark.parametrize("folder", MOST_LINES)
def test_migrations_and_sql_are_short(folder: str) -> None:
    paths = [
        path for path in tree.files() if folder in path.relative_to(tree.ROOT).parts and path.suffix in {".py", ".sql"}
    ]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in paths)
    print(f"{folder}: {len(paths)} files, {lines} lines")  # noqa: T201 - `pytest -rP` shows it
    assert 0 < lines < MOST_LINES[folder]


def test_each_module_has_a_name_that_says_what_it_is() -> None:
    said_nothing = [
        name
        for name, _, _ in tree.modules(*tree.CODE)
        if NAMES_THAT_SAY_NOTHING & set(Path(name).with_suffix("").parts)
    ]
    assert said_nothing == []


def test_nothing_happens_by_signal() -> None:
    assert _signals(tree.modules(*tree.PRODUCTS)) == []


def test_what_one_floor_asks_of_another_is_a_hook() -> None:
    assert _registries(tree.modules(*tree.PRODUCTS)) == []


def test_models_have_no_logic_in_save() -> None:
    assert _methods_that_hide_logic(tree.modules(*tree.PRODUCTS)) == []


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (_long_files, "x = 1\n" * (LONGEST_FILE + 1)),
        (_long_functions, "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION),
        (_signals, "from django.db.models.signals import post_save\n"),
        (_signals, "from django.dispatch import receiver\n"),
        (_registries, "_GUARDS: dict[str, Guard] = {}\n"),
        (_methods_that_hide_logic, "class A:\n    def save(self): ...\n"),
    ],
)
def test_each_guard_sees_what_it_guards_against(guard, text: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert guard([("audit/models.py", ast.parse(text), text)])
