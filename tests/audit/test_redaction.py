"""What may never be written, is not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import redaction
from audit.actions import Action

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Passwd", "client_secret", "clientSecret", "Authorization", "Proxy-Authorization", "Cookie"),
        *("Set-Cookie", "token", "access_token", "refreshToken", "id_token", "id_token_hint", "client_assertion"),
        *("api_key", "X-Api-Key", "private_key", "credentials", "code_verifier", "DPoP", "user_code", "otp"),
    ],
)
@pytest.mark.parametrize("held", ["hunter22", ["hunter22"], {"value": "hunter22"}, 12345678])
def test_a_secret_name_never_keeps_its_value(name: str, held: object) -> None:
    cleaned = redaction.clean({"deep": [{name: held}]})

    kept = json.dumps(cleaned)
    if not (name == "credentials" and held == 12345678):  # a number under a plural is a count
        assert "hunter22" not in kept
        assert "12345678" not in kept


@pytest.mark.parametrize(
    "secret",
    [
        *(JWT, f"{JWT}.x.y", "Bearer abcdefgh12345", "bearer   abcdefgh12345==", "DPoP abcdefgh12345"),
        *("Basic dXNlcjpodW50ZXIy", PEM, PEM[:60], "ghp_abcdefghijklmnopqrstuvwx", "sk-abcdefghijklmnopqrst"),
        *("xoxb-1234567890-abc", "AKIAABCDEFGHIJKLMNOP"),
    ],
)
def test_a_secret_shape_is_cut_out_of_any_text_and_the_rest_is_kept(secret: str) -> None:
    cleaned = redaction.clean({"note": f"pasted {secret} by mistake", secret: 1})

    assert isinstance(cleaned, dict)
    assert cleaned["note"] == "pasted [redacted] by mistake" or secret == PEM[:60]
    assert secret not in json.dumps(cleaned)


def test_the_password_in_an_address_is_cut_out() -> None:
    assert redaction.text("postgresql://app:hunter22@db/x") == "postgresql://[redacted]@db/x"


def test_the_private_part_of_a_key_is_cut_out_and_the_public_part_kept() -> None:
    key = {"kty": "EC", "crv": "P-256", "x": "public", "d": "private"}

    assert redaction.clean({"key": key}) == {"key": {**key, "d": "[redacted]"}}


def test_what_only_sounds_secret_is_kept() -> None:
    said = {
        "token_type": "Bearer",
        "live_tokens": 3,
        "has_secret": True,
        "token_endpoint": "https://as.test",
        "secret": "",
    }

    assert redaction.clean(said) == said


@pytest.mark.parametrize("number", [2**53, -(2**53), float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_carry_is_refused_with_its_place(number: float) -> None:
    with pytest.raises(redaction.Unrepresentable, match=r"detail\.limits\[0\]\.most"):
        redaction.clean({"limits": [{"most": number}]})


@pytest.mark.parametrize("value", [b"bytes", object(), {1: "number as key"}])
def test_what_has_no_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(redaction.Unrepresentable):
        redaction.clean({"value": value})


def test_ids_moments_names_and_sets_become_text() -> None:
    east = datetime(2026, 11, 24, 16, 0, 0, 1, tzinfo=timezone(timedelta(hours=1)))

    assert redaction.clean({"id": UUID(int=1), "at": east, "what": Action.REFUSED, "all": {"b", "a"}}) == {
        "id": "00000000-0000-0000-0000-000000000001",
        "at": "2026-11-24T15:00:00.000001Z",
        "what": "attempt.refused",
        "all": ["a", "b"],
    }


def test_long_deep_and_wide_things_are_cut_and_say_so() -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]

    assert redaction.text("x" * 10_000).endswith("[cut]…")
    assert "[too deep]" in json.dumps(redaction.clean(deep))
    assert redaction.clean(list(range(5000)))[-1] == "[cut: 5000 items]"  # type: ignore[index]


def test_what_the_database_cannot_hold_is_replaced_by_its_name() -> None:
    assert redaction.text("a\x00b") == "a[U+0000]b"
    assert redaction.text("a\ud800b\udfff\U0001f600") == "a[U+D800]b[U+DFFF]\U0001f600"
    assert redaction.clean({"a\x00": ["\x00"]}) == {"a[U+0000]": ["[U+0000]"]}


def test_names_that_become_the_same_keep_each_its_value() -> None:
    cleaned = redaction.clean({"a\x00": 1, "a[U+0000]": 2, "x" * 5000: 3, "x" * 5001: 4})

    assert isinstance(cleaned, dict)
    assert list(cleaned.values()) == [1, 2, 3, 4]
    assert list(cleaned)[:2] == ["a[U+0000]", "a[U+0000][2]"]


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_around_a_token_hides_it(before: str, after: str) -> None:
    assert "eyJzdWIiOiJhbmEifQ" not in redaction.text(f"{before} {JWT} {after}")


def test_arguments_are_a_digest_that_does_not_depend_on_their_order() -> None:
    described = redaction.digest({"to": "bob", "body": "private words"})

    assert described == redaction.digest({"body": "private words", "to": "bob"})
    assert described != redaction.digest({"to": "bob", "body": "other words"})
    assert "private" not in described


def test_a_digest_does_not_round_two_different_floats_to_one() -> None:
    assert redaction.digest({"a": 0.1}) != redaction.digest({"a": 0.1 + 2**-54})


def test_moments_are_written_in_utc_with_microseconds() -> None:
    assert redaction.moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
