"""A stored body is read by `audit/bodies.py` alone: any other cast to jsonb fails on one row that holds NUL."""

import re

import pytest

from tests.architecture import tree

CAST = re.compile(r"\bbody\b[^;\n]{0,40}::\s*jsonb?\b|\bCAST\s*\(\s*(?:\w+\.)?body\b|convert_from\(", re.IGNORECASE)
SUBSTITUTES = {"governance/operations/invariants.py", "governance/operations/record_invariants.py", "audit/bodies.py"}
"""The invariants write the plain cast, and `check` puts the other in its place."""


def casts(text: str) -> list[str]:
    return CAST.findall(text)


def test_nothing_but_its_reader_casts_a_stored_body() -> None:
    found = {name: casts(text) for name, _, text in tree.modules(*tree.PRODUCTS) if name not in SUBSTITUTES}
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize("text", ["v.body::jsonb", "replace(body, 'x', '')::jsonb ->> 'code'", "CAST(e.body AS jsonb)"])
def test_the_guard_sees_what_it_guards_against(text: str) -> None:
    assert casts(text)
