"""Guards of the product's functions, and a function without one of them: to see that a test fails when it is gone.

A guard is an `if` without an `else` that ends in a `raise`, or in the `return` of a refusal.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

_REFUSALS: Final = ("Code.", "_denied(", "_blocking_session_code(", "INACTIVE")


@dataclass(frozen=True)
class Guard:
    """One guard: the module and the function that hold it, its line, and what it asks."""

    module: str
    function: str
    line: int
    asks: str

    def __str__(self) -> str:
        return f"{self.module.rpartition('.')[2]}.{self.function}: {self.asks}"


def of(module_name: str) -> list[Guard]:
    """Return the guards of a module, in their order."""
    module = importlib.import_module(module_name)
    found = [
        Guard(module_name, function.name, node.lineno, ast.unparse(node.test)[:60])
        for function in _functions(_tree(module))
        for node in ast.walk(function)
        if isinstance(node, ast.If) and _is_guard(node)
    ]
    return sorted(found, key=lambda guard: guard.line)


@contextlib.contextmanager
def without(guard: Guard) -> Iterator[None]:
    """Run without one guard: the function's code is replaced until the block ends, wherever it is called from."""
    module = importlib.import_module(guard.module)
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and node.lineno == guard.line:
            node.body = [ast.Pass()]
    changed = _code(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec", dont_inherit=True), guard)
    function: FunctionType = _unwrapped(getattr(module, guard.function))
    kept = function.__code__
    function.__code__ = changed
    try:
        yield
    finally:
        function.__code__ = kept


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _is_guard(node: ast.If) -> bool:
    if node.orelse:
        return False
    last = node.body[-1]
    if isinstance(last, ast.Return):
        return last.value is not None and any(word in ast.unparse(last.value) for word in _REFUSALS)
    return isinstance(last, ast.Raise)


def _code(module: CodeType, guard: Guard) -> CodeType:
    (found,) = (
        constant
        for constant in module.co_consts
        if isinstance(constant, CodeType) and constant.co_name == guard.function
    )
    return found


def _unwrapped(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - decorators return what they like
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
