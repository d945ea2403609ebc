from __future__ import annotations

import base64
import os
from collections.abc import Callable
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from django.conf import settings

from audit import encryption, personal_data
from audit.models import SubjectKey
from entitlements.decisions import own_connection
from entitlements.keys import session_keys, signing
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey
from governance import env
from tests.architecture import tree

Place = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
SUBJECT = SubjectKey(subject="person:ana", key_id=UUID(int=1))
REFUSED = (InvalidTag, seal.SealBroken, session_keys.NotOurs)


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


def test_one_module_encrypts() -> None:
    found = {
        str(path.relative_to(tree.ROOT))
        for floor in ("audit", "entitlements", "governance")
        for path in (tree.ROOT / floor).rglob("*.py")
        if "AESGCM" in path.read_text()
    }
    assert found == {"audit/encryption.py"}


def at(place: str, under: RootKey) -> Place:
    return lambda plain: seal.seal(plain, place, under), lambda value: seal.unseal(value, place, under)


def of_nodes(of: str, purpose: str) -> Place:
    def sealed(plain: bytes) -> bytes:
        text = own_connection.run(session_keys.sealed(own_connection.READS, plain, of, purpose=purpose))
        return base64.urlsafe_b64decode(text.partition(".")[2] + "==")

    def opened(value: bytes) -> bytes:
        text = f"{signing.active_kid(of)}.{base64.urlsafe_b64encode(value).decode().rstrip('=')}"
        return own_connection.run(session_keys.opened(own_connection.READS, text, of, purpose=purpose))

    return sealed, opened


def wrapped_subject_key() -> Place:
    def opened(value: bytes) -> bytes:
        SUBJECT.wrapped = value
        return personal_data._unwrap(SUBJECT)

    return lambda plain: personal_data._wrap(SUBJECT.subject, SUBJECT.key_id, plain), opened


def personal_value(event: int, key: bytes) -> Place:
    place = personal_data._place(SUBJECT.subject, UUID(int=event))
    return (
        lambda plain: encryption.encrypt([key], plain, place),
        lambda value: encryption.decrypt([key], value, place),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("keys", ["its own key", "one key for all"])
def test_what_is_sealed_for_one_place_opens_in_no_other(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = os.urandom(32)
    if keys == "one key for all":
        monkeypatch.setattr(encryption, "keys_for", lambda *_: [key])
        monkeypatch.setattr(session_keys, "_key", lambda *_: key)
    else:
        monkeypatch.setattr(settings, "SIGNING_KEY_ENCRYPTION_KEY", env.Secret(os.urandom(32)))
    for issuer in session_keys.SEALING:
        signing.ensure(issuer)
    places = [
        at("signing-key:a", RootKey.GENERAL),
        at("signing-key:b", RootKey.SIGNING),
        at("webhook:a", RootKey.GENERAL),
        of_nodes(session_keys.ISSUER, ""),
        of_nodes(session_keys.ISSUER, "task"),
        of_nodes(session_keys.REGISTRATIONS, ""),
        wrapped_subject_key(),
        personal_value(1, key),
        personal_value(2, key),
    ]
    for number, (sealed, _) in enumerate(places):
        value = sealed(b"twelve bytes")
        for other, (_, opened) in enumerate(places):
            if other == number:
                assert opened(value) == b"twelve bytes"
                continue
            with pytest.raises(REFUSED):
                opened(value)
