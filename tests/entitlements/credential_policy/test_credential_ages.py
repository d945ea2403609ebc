"""A change of the longest age ends nothing at once, brings nothing back, and is read as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from entitlements.credential_policy import rules
from entitlements.credential_policy.rules import AgeLimit, Kind

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(rules.SHORTEST_DAYS, rules.LONGEST_DAYS)
UPGRADED = AgeLimit(365, START, START + timedelta(days=90))
CHANGES = st.lists(st.tuples(st.integers(0, 60), DAYS), max_size=6)
"""Changes of the policy: so many days after the one before, to so many days."""
MADE = st.integers(-3000, 400).map(lambda days: START + timedelta(days=days, hours=7))


def history(first: AgeLimit, changes: list[tuple[int, int]]) -> list[tuple[datetime, AgeLimit]]:
    found, now = [(START, first)], START
    for after, days in changes:
        now += timedelta(days=after)
        found.append((now, found[-1][1].changed(days, now)))
    return found


@given(st.sampled_from([AgeLimit(365), UPGRADED]), CHANGES, MADE)
def test_a_change_spares_what_works_for_its_grace_and_revives_nothing(
    first: AgeLimit, changes: list[tuple[int, int]], made: datetime
) -> None:
    for (_, before), (now, limit) in pairwise(history(first, changes)):
        ended, ends = before.ends_at(made), limit.ends_at(made)
        if made <= now and ended > now:
            assert ends >= min(ended, now + rules.GRACE)
        if ended <= now and made <= now:
            assert ends <= max(now, made + timedelta(days=limit.days))
        if made > now:
            assert ends == made + timedelta(days=limit.days)


@given(st.sampled_from([AgeLimit(365), UPGRADED]), CHANGES)
def test_limits_are_read_as_they_were_written(first: AgeLimit, changes: list[tuple[int, int]]) -> None:
    for _, limit in history(first, changes):
        limits = dict.fromkeys(Kind, limit)
        assert rules.read(rules.written(limits)) == limits


def test_an_upgrade_spares_what_is_too_old_for_its_grace_alone() -> None:
    old = START - timedelta(days=1000)
    assert UPGRADED.ends_at(old) == START + timedelta(days=90)
    assert UPGRADED.ends_at(START - timedelta(days=10)) == START + timedelta(days=355)


def test_a_credential_is_warned_about_thirty_seven_and_one_day_ahead_and_not_once_it_has_ended() -> None:
    ends = START + timedelta(days=100)
    found = [rules.warning_due(ends, ends - timedelta(days=days)) for days in (31, 30, 8, 7, 2, 1, 0.5, 0, -1)]
    named = [None if each is None else each.days for each in found]
    assert named == [None, 30, 30, 7, 7, 1, 1, None, None]
