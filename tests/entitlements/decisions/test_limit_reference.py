"""Argument limits decide as a slow reference reads the docs: many seeded cases, no disagreement."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest

from entitlements.decisions import limits
from entitlements.decisions.limits import Covered, LimitMalformed
from entitlements.guardrails import argument_matches
from tests import seeds
from tests.entitlements.decisions import limit_reference as reference
from tests.entitlements.decisions import limit_worlds as worlds
from tests.entitlements.limit_cases import COVERING, MALFORMED, NOW

CASES: Final = seeds.cases(100_000, short=20_000)
PARTS: Final = 10
"""Of a million cases, each a hundred thousand."""


def _decided(written: dict[str, object], arguments: dict[str, object]) -> bool | None:
    """Decide by the product; None where the limits are refused."""
    try:
        compiled = limits.compile(written)
    except LimitMalformed:
        return None
    is_covered = isinstance(compiled.covers(arguments, worlds.NOW), Covered)
    if is_covered:
        assert argument_matches.may_match(compiled, arguments, worlds.NOW), "a guardrail with these conditions matches"
    return is_covered


def _by_reference(written: dict[str, object], arguments: dict[str, object]) -> bool | None:
    try:
        return reference.covers(written, arguments, worlds.NOW)
    except reference.Refused:
        return None


def _compare(chance: random.Random, cases: int) -> Counter[tuple[str, bool | None]]:
    """Compare some cases; count by kind what was decided where nothing else is limited."""
    counted: Counter[tuple[str, bool | None]] = Counter()
    for number in range(cases):
        written, arguments = worlds.case(chance)
        decided, expected = _decided(written, arguments), _by_reference(written, arguments)
        assert decided is expected, f"case {number}: {written!a} {arguments!a}: {decided}, and not {expected}"
        limit = next(iter(written.values()))
        kinds = [kind for kind in limit if kind not in reference.WORDS] if isinstance(limit, dict) else []
        if len(written) == 1 and len(kinds) == 1:
            counted[kinds[0], decided] += 1
        counted["", decided] += 1
    return counted


def test_cases_are_decided_as_the_reference_decides_them() -> None:
    counted = _compare(seeds.chance(), CASES)

    assert all(counted["", decided] > CASES / 10 for decided in (True, False, None)), "each answer is frequent"
    rare = {
        (kind, decided): counted[kind, decided]
        for kind in reference.CHECKS
        for decided in (True, False, None)
        if counted[kind, decided] < 10
    }
    assert not rare, "each kind is met, missed and malformed by itself"


@pytest.mark.soak
@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_a_million_cases_are_decided_as_the_reference_decides_them(part: int) -> None:
    _compare(seeds.chance(part), 100_000)


@pytest.mark.parametrize(("written", "arguments", "covered"), COVERING)
def test_the_reference_knows_the_plain_rows(
    written: dict[str, object], arguments: dict[str, object], *, covered: bool
) -> None:
    assert reference.covers(written, arguments, NOW) is covered


@pytest.mark.parametrize("written", [each for each in MALFORMED if isinstance(each, dict)])
def test_the_reference_refuses_what_is_malformed(written: dict[str, object]) -> None:
    with pytest.raises(reference.Refused):
        reference.covers(written, {}, NOW)


def test_what_is_tighter_by_the_order_covers_no_more_by_the_reference() -> None:
    tighter, chance = 0, seeds.chance("order")
    for number in range(CASES // 2):
        (wide, others), (narrow, arguments) = worlds.case(chance), worlds.case(chance)
        try:
            pair = {**wide, **{name: {**wide.get(name, {}), **limit} for name, limit in narrow.items()}}
            is_tighter = limits.tightens(wide, pair)
        except (LimitMalformed, TypeError):
            continue
        if is_tighter:
            tighter += 1
            for each in (arguments, others, {**others, **arguments}):
                inner = reference.covers(pair, each, worlds.NOW)
                assert not inner or reference.covers(wide, each, worlds.NOW), f"{number}: {wide!a} {pair!a} {each!a}"
    assert tighter > CASES / 50
