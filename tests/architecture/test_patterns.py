"""Every place that matches a pattern which somebody else wrote, and what bounds its work."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture import tree

BOUNDED = {
    "entitlements/patterns.py: jsonschema_rs.validator_for": "each by its size, those of a call by their time",
    "entitlements/arguments.py: jsonschema_rs.validator_for": "`pattern` is patterns.Keyword; parts times values",
    "entitlements/arguments.py: jsonschema_rs.validator_map_for": "as above",
    "governance/tickets/rules.py: re.fullmatch": "a part of regular expressions without groups, four open quantifiers",
    "governance/tickets/rules.py: re.compile": "is_safe looked at it first",
    "governance/sod/rules.py: fnmatchcase": "names and `*` alone, 64 characters; stars are atomic groups",
    "governance/cli/catalogue.py: re.compile": "its own table: YAML's resolvers",
    "governance/api/tags.py: re.match": "its own table",
    "governance/logs.py: re.compile": "its own pattern",
}
"""Schemas of tools (MCP and OpenAPI, asked for by elicitation or answered) are arguments.Schema or are not evaluated.

Guardrails, argument limits, budgets, policy domains, claims of workloads and trusted issuers know no pattern: they
compare, or take a prefix, a suffix or a host with `*.`.
"""
FUNCTIONS = ("compile", "match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split")


def is_our_own(argument: ast.expr) -> bool:
    """Whether a pattern is written here: a text, or joined of texts and constants."""
    names = [node.id for node in ast.walk(argument) if isinstance(node, ast.Name)]
    looked_up = [node for node in ast.walk(argument) if isinstance(node, ast.Attribute | ast.Subscript | ast.Call)]
    return not looked_up and all(name.isupper() for name in names)


def foreign(parsed: ast.AST) -> Iterator[str]:
    for node in ast.walk(parsed):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        is_engine = name.startswith(("jsonschema", "re2.", "regex.")) and "Options" not in last
        is_pattern = name.startswith("re.") and last in FUNCTIONS and not is_our_own(node.args[0])
        if is_engine or is_pattern or "fnmatch" in last:
            yield name
        for each in node.keywords:
            if each.arg and each.arg.endswith("regex") and not is_our_own(each.value):
                yield each.arg


def test_every_place_that_matches_a_foreign_pattern_is_bounded() -> None:
    found = {f"{name}: {call}" for name, parsed, _ in tree.modules(*tree.PRODUCTS) for call in foreign(parsed)}

    assert found == BOUNDED.keys()


@pytest.mark.parametrize(
    "text",
    [
        "re.compile(written)",
        "re.search(rule['pattern'], text)",
        "re.fullmatch(f'^{rule.name}$', text)",
        "fnmatch.fnmatch(name, pattern)",
        "jsonschema.validate(a, b)",
        "Tool.objects.filter(name__iregex=wanted)",
    ],
)
def test_a_new_place_is_seen(text: str) -> None:
    assert list(foreign(ast.parse(text)))
    assert not list(foreign(ast.parse("re.compile(f'^{_KEY}$'); re.sub('a', b, c); filter(name__regex='^a')")))
