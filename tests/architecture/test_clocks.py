"""A test waits for a condition with the one bound of `tests.waits`, and judges no machine by its clock."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture import tree

CLOCKS = {"monotonic", "perf_counter", "monotonic_ns", "perf_counter_ns"}
BOUNDED = {"join", "result", "settimeout", "timeout", "until", "wait", "wait_for", "Timeout", "Timer"}
"""What takes a number of seconds as its last argument."""
PAUSE = 0.1
_SUSPECT = re.compile(rf"timeout\w*=\d|(?:monotonic|perf_counter)\w*\(|\b(?:{'|'.join(BOUNDED)})\(.*\b[\d.]+\)")
"""What stands in a file that is worth a look: reading all of them as Python takes seconds."""
ELSEWHERE = {
    "tests/benchmarks/": "they measure, and are no part of a run",
    "tests/engine/": "it installs on a machine of its own, and measures",
    "tests/waits.py": "the one bound",
}
"""Where numbers and clocks are the point, each with its reason."""


def clocks(module: ast.Module) -> Iterator[str]:
    """Yield each number of seconds that bounds a wait, and each assertion about how long something took."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and not _is_mark(node.func):
            last = node.args[-1:] if _name(node.func) in BOUNDED else []
            named = [
                each.value for each in node.keywords if "timeout" in (name := each.arg or "") and "shut" not in name
            ]
            yield from (f"{node.lineno}: {ast.unparse(node)}" for each in (*last, *named) if _is_number(each))
        elif isinstance(node, ast.BinOp) and _reads_clock(node.left) and _is_number(node.right):
            yield f"{node.lineno}: {ast.unparse(node)}"
    for function in tree.functions(module):
        yield from _judged(function)


def _judged(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the assertions that compare a difference of moments, or a name that stands for one."""
    took: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(map(_is_difference, ast.walk(node.value))):
            took |= {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            for compared in (each for each in ast.walk(node.test) if isinstance(each, ast.Compare)):
                parts = list(ast.walk(compared))
                if any(map(_is_difference, parts)) or any(
                    isinstance(each, ast.Name) and each.id in took for each in parts
                ):
                    yield f"{node.lineno}: {ast.unparse(node)}"


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _is_mark(function: ast.expr) -> bool:
    """Say whether it is `pytest.mark.timeout`: what ends a test that hangs."""
    return isinstance(function, ast.Attribute) and _name(function.value) == "mark"


def _is_number(value: ast.expr) -> bool:
    """Say whether it is a number of seconds; less than a tenth is a pause between two looks."""
    if isinstance(value, ast.BinOp):
        return _is_number(value.left) and _is_number(value.right)
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float) and value.value >= PAUSE


def _reads_clock(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _name(value.func) in CLOCKS


def _is_difference(value: ast.AST) -> bool:
    return isinstance(value, ast.BinOp) and isinstance(value.op, ast.Sub) and _reads_clock(value.left)


def test_no_test_waits_for_a_number_of_its_own_or_judges_how_long_something_took() -> None:
    places = {path.relative_to(tree.ROOT).as_posix(): path for path in tree.files() if path.suffix == ".py"}
    texts = {
        name: path.read_text(encoding="utf-8")
        for name, path in places.items()
        if name.startswith("tests/") and not name.startswith(tuple(ELSEWHERE))
    }
    found = [
        f"{name}:{what}" for name, text in texts.items() if _SUSPECT.search(text) for what in clocks(ast.parse(text))
    ]
    assert found == [], "tests.waits has the bound; a condition, an order or a count says what is meant"


@pytest.mark.parametrize(
    "planted",
    [
        "httpx2.get(address, timeout=5)",
        "child.wait(10)",
        "thread.join(timeout=2.5)",
        "assert started.wait(5)",
        "await asyncio.wait_for(asked.wait(), 5)",
        "line.settimeout(2 * 30)",
        "end = time.monotonic() + 20",
        "waits.until(lambda: True, 5)",
        "assert time.monotonic() - began < 2",
        "assert time.perf_counter() - began < WITHIN, name",
        "took = time.monotonic() - began\n    assert took < 15",
        "took, told = time.monotonic() - began, 1\n    assert max(took, 1) < 15 and told",
    ],
)
def test_a_planted_number_or_judgement_of_the_clock_is_found(planted: str) -> None:
    assert len(list(clocks(ast.parse(f"async def test() -> None:\n    {planted}")))) == 1


@pytest.mark.parametrize(
    "allowed",
    [
        "child.wait()",
        "over.wait(0.02)",
        "web.AppRunner(app, shutdown_timeout=0.2)",
        "child.wait(waits.SECONDS)",
        "assert not heard.wait(waits.MOMENT)",
        "line.settimeout(0)",
        "assert rules.wait(0) == FIRST",
        "'-'.join('1')",
        "mark = pytest.mark.timeout(300)",
        "usual = time.monotonic() - began",
        "end = time.monotonic() + waits.SECONDS",
    ],
)
def test_what_waits_with_the_one_bound_is_none(allowed: str) -> None:
    assert list(clocks(ast.parse(f"def test() -> None:\n    {allowed}"))) == []
