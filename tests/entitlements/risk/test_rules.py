"""The level follows from the signals that count, whatever their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from entitlements.risk import rules
from entitlements.risk.rules import CountedSignal, Kind, Verdict
from entitlements.words import Risk

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return BEGUN + timedelta(minutes=minute)


def told(level: str, minute: int, verdict: str | None = None, decided: int | None = None, **more: str) -> CountedSignal:
    known = {"kind": Kind.SESSION_REVOKED, "source": "issuer:a", **more}
    moment = None if decided is None else at(decided)
    return CountedSignal(
        known["kind"], known["source"], Risk(level), at(minute), Verdict(verdict) if verdict else None, moment
    )


def test_the_highest_that_counts_is_the_level() -> None:
    assert rules.level_of([]) is Risk.LOW
    assert rules.level_of([told("medium", 1), told("low", 2)]) is Risk.MEDIUM
    assert rules.level_of([told("medium", 1), told("high", 2, "dismissed", 3)]) is Risk.MEDIUM
    assert rules.level_of([told("low", 1, "compromised", 2)]) is Risk.HIGH


def test_what_was_noted_before_somebody_said_safe_counts_no_more() -> None:
    before = [told("high", 1), told("medium", 2, "safe", 5), told("low", 3, "compromised", 4)]
    assert rules.level_of(before) is Risk.LOW
    assert rules.level_of([*before, told("medium", 6)]) is Risk.MEDIUM
    assert rules.level_of([told("low", 1, "compromised", 9), told("high", 2, "safe", 5)]) is Risk.HIGH


def test_of_the_levels_that_a_source_reports_its_last_counts() -> None:
    first = told("high", 1, kind=Kind.RISK_LEVEL_CHANGE)
    last = told("low", 2, kind=Kind.RISK_LEVEL_CHANGE)
    other = told("medium", 1, kind=Kind.RISK_LEVEL_CHANGE, source="issuer:b")
    assert rules.level_of([first]) is Risk.HIGH
    assert rules.level_of([last, first]) is Risk.LOW
    assert rules.level_of([first, last, other]) is Risk.MEDIUM
    assert rules.level_of([first, told("low", 2, "dismissed", 3, kind=Kind.RISK_LEVEL_CHANGE)]) is Risk.HIGH


_SIGNALS = st.lists(
    st.builds(
        told,
        st.sampled_from(["low", "medium", "high"]),
        st.integers(0, 9),
        st.sampled_from([None, *map(str, Verdict)]),
        st.integers(10, 20),
        kind=st.sampled_from([str(Kind.SESSION_REVOKED), str(Kind.REFRESH_REUSE)]),
    )
)


@given(_SIGNALS, st.randoms())
def test_the_order_changes_nothing_and_one_more_lowers_nothing(signals: list[CountedSignal], mixer: Random) -> None:
    level = rules.level_of(signals)
    mixed = [*signals]
    mixer.shuffle(mixed)
    assert rules.level_of(mixed) is level
    assert rules.level_of([*signals, told("high", 30)]) is Risk.HIGH
    assert rules.level_of([*signals, told("low", 30)]).rank >= level.rank


def test_only_two_kinds_are_carried_out_by_themselves() -> None:
    enforced = {kind for kind, policy in rules.DEFAULTS.items() if policy.mode is rules.Mode.ENFORCE}
    assert enforced == {Kind.CONFIRMED_COMPROMISE, Kind.ACCOUNT_DISABLED}
    assert {rules.DEFAULTS[kind].response for kind in enforced} == {rules.Response.SUSPEND}
    assert rules.DEFAULTS.keys() == {*Kind}
