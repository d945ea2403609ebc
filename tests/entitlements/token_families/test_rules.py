"""What a refresh token is worth, by its generation and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import override_settings

from entitlements.token_families import refresh_tokens, rules
from entitlements.token_families.rules import Use
from governance import env

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("presented", "ago", "use"),
    [
        (3, [10, 400], Use.CURRENT),
        (2, [60, 400], Use.AGAIN),
        (2, [61, 400], Use.REPLAYED),
        (1, [10, 59], Use.AGAIN),
        (1, [10, 400], Use.REPLAYED),
        (1, [10], Use.REPLAYED),
        (0, [10, 20], Use.UNKNOWN),
        (4, [10, 20], Use.UNKNOWN),
    ],
)
def test_a_generation_counts_until_a_moment_after_it_was_replaced(presented: int, ago: list[int], use: Use) -> None:
    retired = [NOW - timedelta(seconds=seconds) for seconds in ago]
    assert rules.use(presented, 3, retired, NOW, WINDOW) is use


def test_without_a_window_a_generation_counts_once() -> None:
    later = NOW + timedelta(microseconds=1)
    assert rules.use(1, 2, [NOW], later, timedelta(0)) is Use.REPLAYED


def test_a_family_ends_with_time_and_sooner_where_no_client_proves_itself() -> None:
    assert rules.ends(NOW, is_proven=True) == NOW + timedelta(days=30)
    assert rules.ends(NOW, is_proven=False) == NOW + timedelta(hours=12)
    far = NOW + timedelta(days=30)
    assert not rules.is_over(NOW, far, NOW + timedelta(days=14) - timedelta(seconds=1))
    assert rules.is_over(NOW, far, NOW + timedelta(days=14))
    assert rules.is_over(far, far, far)


def test_a_refresh_token_is_read_at_its_own_issuer_and_no_bit_of_it_can_be_changed() -> None:
    family = uuid4()
    token = refresh_tokens.make(family, 7, "as/time")
    assert token == refresh_tokens.make(family, 7, "as/time")
    assert refresh_tokens.read(token, "as/time") == refresh_tokens.Presented(family, 7)
    assert refresh_tokens.read(token, "as/git") is None
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        read = refresh_tokens.read(changed, "as/time")
        assert read is None, place
    for broken in ("", "mrt1.", token[:-1], token + "A", token + "=", f" {token}", "mrt1.é", "a.b.c"):
        assert refresh_tokens.read(broken, "as/time") is None, broken


def test_a_refresh_token_outlives_the_key_under_which_it_was_made_while_that_one_still_counts() -> None:
    before, family = settings.KEY_ENCRYPTION_KEY, uuid4()
    token = refresh_tokens.make(family, 1, "as/time")
    now, none = env.Secret(b"n" * 32), env.Secret(b"")
    with override_settings(KEY_ENCRYPTION_KEY=now, KEY_ENCRYPTION_KEY_PREVIOUS=before):
        assert refresh_tokens.read(token, "as/time") == refresh_tokens.Presented(family, 1)
        assert refresh_tokens.make(family, 1, "as/time") != token
    with override_settings(KEY_ENCRYPTION_KEY=now, KEY_ENCRYPTION_KEY_PREVIOUS=none):
        assert refresh_tokens.read(token, "as/time") is None
