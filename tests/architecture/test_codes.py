"""Every code that an answer can carry is in docs/reference/codes.md: found in the source by its shape."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture import tree

CODES = tree.ROOT / "docs" / "reference" / "codes.md"
WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
MAKERS = re.compile(r"Refused|invalid_(?:request|client|grant|target)|ValidationError")


def of_class(node: ast.ClassDef) -> Iterator[str]:
    """Yield what `code` is set to in the body of a class."""
    for line in node.body:
        match line:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield code
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[first, *_])):
                if isinstance(first, ast.Constant):
                    yield str(first.value)
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                yield code


def raised(module: ast.Module) -> Iterator[str]:
    """Yield every text that is written where a code belongs."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef():
                yield from of_class(node)
            case ast.FunctionDef(args=ast.arguments(args=args, defaults=defaults)) if defaults:
                for argument, default in zip(args[-len(defaults) :], defaults, strict=True):
                    if argument.arg == "code" and isinstance(default, ast.Constant):
                        yield str(default.value)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if MAKERS.fullmatch(name):
                yield from (str(arg.value) for arg in args[:2] if isinstance(arg, ast.Constant))
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                        yield str(value.value)


def test_every_code_that_is_raised_anywhere_is_in_the_reference() -> None:
    listed = set(re.findall(r"`([a-z0-9_]+)`", CODES.read_text(encoding="utf-8")))
    ours = {str(path.relative_to(tree.ROOT)) for path in tree.pages()}  # a form's own words are Django's
    found = {
        (code, name)
        for name, module, _text in tree.modules(*tree.PRODUCTS)
        for code in raised(module)
        if WORD.fullmatch(code) and not (name in ours and code in {"invalid", "required"})
    }

    assert {code for code, _ in found} > {"client_mismatch", "assertion_replayed", "no_approver", "method_not_allowed"}
    assert sorted(each for each in found if each[0] not in listed) == []
