"""The codes that have no class of their own: read out of the source, where a door writes them beside their sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOORS = "entitlements/edge"
PAGES = "governance"
_INVALID = "invalid_"


def at_the_machine_doors() -> list[tuple[str, str, str]]:
    """Return code, the protocol's `error` and the sentences of each refusal that the machine doors make, in order."""
    sentences_by_code: dict[tuple[str, str], set[str]] = {}
    for path in sorted((ROOT / DOORS).rglob("*.py")):
        for code, oauth, sentence in _refusals_in(ast.parse(path.read_text(encoding="utf-8"))):
            sentences_by_code.setdefault((code, oauth), set()).add(sentence)
    return [
        (code, oauth, " ".join(sorted(sentences)).strip())
        for (code, oauth), sentences in sorted(sentences_by_code.items())
    ]


def on_pages() -> list[str]:
    """Return the codes that pages of the console show and no class has."""
    return sorted(
        value.value
        for path in sorted((ROOT / PAGES).rglob("*.py"))
        if {"console", "sign_in", "pages"} & set(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "code"
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


def of_the_framework() -> dict[str, str]:
    """Return the codes of the API framework's own errors, with what they say."""
    from entitlements.api import problems  # noqa: PLC0415 - it needs Django from its first line on

    return {code: str(error.default_detail) for error, code in problems.FRAMEWORK.items()}


def _refusals_in(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    defaults = {
        node.name: str(node.args.defaults[-1].value)
        for node in ast.walk(ast.parse((ROOT / DOORS / "refusals.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith(_INVALID)
        if isinstance(node.args.defaults[-1], ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="Refused"), args=[oauth, ast.Constant(value=str(code)), message]):
                yield code, _text(oauth) or "the protocol's own", _text(message)
            case ast.Call(func=ast.Attribute(attr=name), args=[message]) if name in defaults:
                yield defaults[name], name, _text(message)
            case ast.Call(func=ast.Attribute(attr=name), args=[message, ast.Constant(value=str(code))]) if (
                name in defaults
            ):
                yield code, name, _text(message)
            case ast.Dict(keys=[ast.Constant(value="error"), ast.Constant(value="code")], values=[oauth, code]) if (
                isinstance(code, ast.Constant)
            ):
                yield str(code.value), _text(oauth), ""
            case _:
                pass


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
