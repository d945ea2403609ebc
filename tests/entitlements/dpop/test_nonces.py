"""A nonce is known by every node that has the key, for a few minutes, and can be made up by none without it."""

from __future__ import annotations

import pytest

from entitlements.dpop import nonces
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey

NOW = 1_800_000_000.0


@pytest.fixture
def roots(monkeypatch: pytest.MonkeyPatch) -> dict[RootKey, list[bytes]]:
    """Keep the key-encryption keys here: those of two processes are two keys."""
    found = {RootKey.GENERAL: [b"g" * 32], RootKey.SIGNING: [b"s" * 32]}
    monkeypatch.setattr(seal, "keys_for", lambda _purpose, under: found[under])
    return found


@pytest.mark.usefixtures("roots")
def test_a_nonce_is_taken_for_at_least_one_time_and_at_most_two() -> None:
    nonce = nonces.current(NOW, RootKey.SIGNING)
    assert nonce == nonces.current(NOW, RootKey.SIGNING)
    for later in (0, nonces.SECONDS):
        assert nonces.is_fresh(nonce, NOW + later, RootKey.SIGNING)
    for later in (-nonces.SECONDS, 2 * nonces.SECONDS):
        assert not nonces.is_fresh(nonce, NOW + later, RootKey.SIGNING)


def test_another_key_knows_it_not_and_the_one_before_still_does(roots: dict[RootKey, list[bytes]]) -> None:
    nonce = nonces.current(NOW, RootKey.SIGNING)
    assert not nonces.is_fresh(nonce, NOW, RootKey.GENERAL)
    roots[RootKey.SIGNING].insert(0, b"n" * 32)
    assert nonces.current(NOW, RootKey.SIGNING) != nonce
    assert nonces.is_fresh(nonce, NOW, RootKey.SIGNING)


@pytest.mark.parametrize("made_up", ["", "x", "é", "A" * 27, "A" * 10_000])
@pytest.mark.usefixtures("roots")
def test_what_was_made_up_is_none(made_up: str) -> None:
    assert not nonces.is_fresh(made_up, NOW, RootKey.SIGNING)
