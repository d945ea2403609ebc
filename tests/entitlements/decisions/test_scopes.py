"""Scopes: one grammar, one order, and an outcome for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.decisions import scopes
from entitlements.decisions.scopes import Outcome, ScopeMalformed

words = st.sampled_from(["time:read", "time:write", "git:read", "openid", "offline_access"])
sets = st.frozensets(words)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, ()),
        ("", ()),
        ("time:read", ("time:read",)),
        ("time:write time:read", ("time:read", "time:write")),
        ("time:read time:read", ("time:read",)),
        ("openid time:read", ("openid", "time:read")),
    ],
)
def test_a_list_of_scopes_reads_into_one_order(written: str | None, read: tuple[str, ...]) -> None:
    assert scopes.parse(written) == read


@pytest.mark.parametrize(
    "written",
    [
        " ",
        " a",
        "a ",
        "a  b",
        "a\tb",
        "a\nb",
        'a"b',
        "a\\b",
        "caf\u00e9",
        "a\u00a0b",
        "a\x7f",
        "x" * 9000,
        "a " * 200 + "a",
    ],
)
def test_anything_outside_the_grammar_is_refused(written: str) -> None:
    with pytest.raises(ScopeMalformed) as refused:
        scopes.parse(written)

    assert refused.value.code == "scope_malformed"


@pytest.mark.parametrize(
    ("scope", "system"),
    [
        ("time:read", "time"),
        ("mandate:grants:read", "mandate"),
        ("openid", None),
        ("Time:read", None),
        ("time:Read", None),
        (":read", None),
        ("time:", None),
        ("-time:read", None),
        ("time:read\n", None),
        ("time:r\u0435ad", None),
    ],
)
def test_a_scope_belongs_to_the_system_it_names(scope: str, system: str | None) -> None:
    assert scopes.system_of(scope) == system


@given(sets)
def test_writing_and_reading_keeps_a_set(found: frozenset[str]) -> None:
    assert scopes.parse(scopes.join(found)) == scopes.canonical(found)


@given(st.none() | sets, sets, st.none() | sets)
def test_narrowing_grants_nothing_that_is_not_asked_held_and_below_the_ceiling(
    requested: frozenset[str] | None, held: frozenset[str], ceiling: frozenset[str] | None
) -> None:
    narrowed = scopes.narrow(requested, held, system="time", ceiling=ceiling)

    granted = set(narrowed.granted)
    assert granted <= held
    assert requested is None or granted <= requested
    assert ceiling is None or granted <= ceiling
    assert all(scopes.system_of(scope) == "time" for scope in granted)
    assert requested is None or set(narrowed.outcomes) == requested
    assert granted == {scope for scope, outcome in narrowed.outcomes.items() if outcome is Outcome.GRANTED}
    assert narrowed.complete is (granted == set(narrowed.outcomes))


@given(sets, sets)
def test_narrowing_grants_all_that_is_asked_and_held(requested: frozenset[str], held: frozenset[str]) -> None:
    wanted = {scope for scope in requested & held if scopes.system_of(scope) == "time"}

    assert set(scopes.narrow(requested, held, system="time").granted) == wanted


def test_every_scope_says_why_it_was_left_out() -> None:
    narrowed = scopes.narrow(
        {"time:read", "time:write", "time:delete", "git:read"},
        {"time:read", "time:delete"},
        system="time",
        ceiling={"time:read", "time:write"},
    )

    assert narrowed.outcomes == {
        "git:read": Outcome.OTHER_SYSTEM,
        "time:delete": Outcome.OUTSIDE_CEILING,
        "time:read": Outcome.GRANTED,
        "time:write": Outcome.NOT_HELD,
    }
    assert not narrowed.complete
