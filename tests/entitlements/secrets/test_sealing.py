from __future__ import annotations

import base64
import os

import pytest
from django.conf import settings

from entitlements.secrets import seal
from governance import env


def test_what_is_sealed_opens_in_its_place_alone() -> None:
    sealed = seal.seal(b"private", "signing-key:a")
    assert b"private" not in sealed
    assert seal.unseal(sealed, "signing-key:a") == b"private"
    with pytest.raises(seal.SealBroken):
        seal.unseal(sealed, "signing-key:b")


def test_sealing_twice_gives_two_texts() -> None:
    assert seal.seal(b"x", "a") != seal.seal(b"x", "a")


@pytest.mark.parametrize("place", range(40))
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealed = bytearray(seal.seal(b"12345678", "a"))
    sealed[place % len(sealed)] ^= 1
    with pytest.raises(seal.SealBroken):
        seal.unseal(bytes(sealed), "a")


def test_another_key_is_told_from_a_damaged_value(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal.seal(b"x", "a")
    monkeypatch.setenv("KEY_ENCRYPTION_KEY", base64.urlsafe_b64encode(os.urandom(32)).decode())
    monkeypatch.setattr(settings, "KEY_ENCRYPTION_KEY", env.key("KEY_ENCRYPTION_KEY"))
    with pytest.raises(seal.SealBroken, match="another KEY_ENCRYPTION_KEY"):
        seal.unseal(sealed, "a")


def test_a_truncated_value_is_refused() -> None:
    for length in (0, 1, 5, 17):
        with pytest.raises(seal.SealBroken):
            seal.unseal(seal.seal(b"x", "a")[:length], "a")
