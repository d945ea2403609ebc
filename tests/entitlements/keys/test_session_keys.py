"""The keys that seal the names of client sessions: nodes alone open them, each of them, and a key has its life."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.context import SYSTEM
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.keys import in_use, session_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.secrets import seal

pytestmark = pytest.mark.django_db
Clock = Callable[[datetime | timedelta], datetime]


def sealed(plain: bytes = b"whose it is") -> str:
    return own_connection.run(session_keys.sealed(READS, plain))


def opened(text: str) -> bytes:
    return own_connection.run(session_keys.opened(READS, text))


def test_what_is_sealed_is_a_visible_word_that_says_nothing_and_opens_again() -> None:
    signing.ensure(session_keys.ISSUER)
    first, second = sealed(), sealed()
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", first)
    assert first != second
    assert opened(first) == opened(second) == b"whose it is"


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(in_use.KeyMissing):
        sealed()


def test_nothing_opens_that_was_altered_moved_to_another_key_or_never_ours() -> None:
    signing.ensure(session_keys.ISSUER)
    name = sealed()
    kid, _, rest = name.partition(".")
    signing.rotate(session_keys.ISSUER, by=SYSTEM, now=True)
    other = signing.active_kid(session_keys.ISSUER)
    flipped = rest[:20] + ("A" if rest[20] != "A" else "B") + rest[21:]
    for text in (
        f"{kid}.{flipped}",
        f"{other}.{rest}",
        f"{kid}.{rest[:-4]}",
        f"{kid}.",
        f"unknown.{rest}",
        kid,
        "",
        ".",
    ):
        with pytest.raises(session_keys.NotOurs):
            opened(text)
    assert opened(name)


def test_a_retired_key_opens_until_what_it_sealed_last_is_over_and_no_longer(at: Clock) -> None:
    at(timedelta())
    first = signing.ensure(session_keys.ISSUER)
    old = sealed()
    following = signing.rotate(session_keys.ISSUER, by=SYSTEM)
    assert following.state == "next"
    assert sealed().startswith(f"{first.kid}.")  # the next one is only known, so that each node can open by it
    at(signing.LEAD)
    signing.rotate_due(session_keys.ISSUER)
    new = sealed()
    assert new.startswith(f"{following.kid}.")
    at(session_keys.LIFE)
    assert (opened(old), opened(new)) == (b"whose it is",) * 2
    at(session_keys.TAIL - session_keys.LIFE)
    assert opened(new)
    with pytest.raises(session_keys.NotOurs):
        opened(old)


def test_a_withdrawn_key_opens_nothing_from_now_on() -> None:
    key = signing.ensure(session_keys.ISSUER)
    name = sealed()
    signing.withdraw(key.kid, by=SYSTEM, reason="leaked")
    with pytest.raises(session_keys.NotOurs):
        opened(name)
    assert opened(sealed())


def test_the_secret_is_sealed_at_rest_and_shown_to_nobody() -> None:
    key = signing.ensure(session_keys.ISSUER)
    assert key.public == {"kty": "oct", "use": "enc", "alg": "A256GCM", "kid": key.kid}
    secret = seal.unseal(bytes(SigningKey.objects.get().sealed_private), in_use.place(key.kid))
    assert len(secret) == 32
    assert secret not in bytes(SigningKey.objects.get().sealed_private)
