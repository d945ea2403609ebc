"""The life of a signing key: published before it signs and until its tokens died, denied at once when it must be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses, tasks
from entitlements.feed.models import Change
from entitlements.keys import jws, signing
from entitlements.keys.models import SigningKey
from entitlements.secrets import seal
from tests import make

pytestmark = pytest.mark.django_db
Clock = Callable[[datetime | timedelta], datetime]


def token(issuer: str = "idp") -> str:
    now = int(clock.now().timestamp())
    return signing.sign(issuer, {"iss": addresses.issuer(issuer), "iat": now, "exp": now + 300}, "JWT")


def kid(text: str) -> str:
    found = jws.read(text).kid
    assert found
    return found


def published(issuer: str = "idp") -> set[str]:
    return {key["kid"] for key in signing.jwks(issuer)["keys"]}


def test_the_first_use_makes_the_key_and_its_private_half_is_sealed() -> None:
    signed = token()
    row = SigningKey.objects.get()
    assert (row.state, row.issuer, row.algorithm) == ("active", "idp", "ES256")
    assert "d" not in row.public
    assert b'"d"' not in bytes(row.sealed_private)
    assert b'"d"' in seal.unseal(bytes(row.sealed_private), f"signing-key:{row.kid}")
    assert signing.verify(signed, "idp", "jwt")["iss"] == addresses.issuer("idp")
    assert f"key:{row.kid}" in Event.objects.get(action="key.made").links


def test_a_token_counts_for_its_issuer_its_type_and_its_time_alone(at: Clock) -> None:
    at(timedelta())
    signed = token()
    for issuer, typ in (("as/time", "jwt"), ("idp", "at+jwt")):
        with pytest.raises(jws.BadToken):
            signing.verify(signed, issuer, typ)
    at(timedelta(seconds=301))
    with pytest.raises(jws.TokenExpired):
        signing.verify(signed, "idp", "jwt")


def test_a_key_of_one_issuer_signs_nothing_for_another() -> None:
    now = int(clock.now().timestamp())
    claims = {"iss": addresses.issuer("as/time"), "iat": now, "exp": now + 60}
    signing.ensure("as/time")
    with pytest.raises(jws.BadToken, match="key"):
        signing.verify(signing.sign("idp", claims, "JWT"), "as/time", "jwt")


def test_a_new_key_is_known_long_before_it_signs_and_the_old_one_until_its_tokens_died(at: Clock) -> None:
    at(timedelta())
    first = kid(old := token())

    second = signing.rotate("idp", by=SYSTEM).kid
    assert published() == {first, second}
    at(signing.LEAD - timedelta(seconds=1))
    signing.rotate("idp", by=SYSTEM)
    assert kid(last := token()) == first

    at(timedelta(seconds=1))
    signing.rotate("idp", by=SYSTEM)
    assert kid(token()) == second
    assert published() == {first, second}
    assert signing.verify(last, "idp", "jwt")

    at(signing.TAIL + timedelta(seconds=1))
    assert published() == {second}
    assert timedelta(seconds=2 * signing.JWKS_SECONDS) <= signing.LEAD
    with pytest.raises(jws.BadToken):
        signing.verify(old, "idp", "jwt")


def test_the_sweep_rotates_when_it_is_due_and_not_before(at: Clock) -> None:
    at(timedelta())
    make.system("time")
    tasks.rotate_signing_keys()
    assert {row.issuer for row in SigningKey.objects.all()} == {"idp", "as/time", "as/all", "as/mandate", "sessions"}
    tasks.rotate_signing_keys()
    assert SigningKey.objects.count() == 5
    at(signing.ROTATE_AFTER)
    tasks.rotate_signing_keys()
    tasks.rotate_signing_keys()
    assert SigningKey.objects.filter(state="next").count() == 5
    at(signing.LEAD)
    tasks.rotate_signing_keys()
    assert SigningKey.objects.filter(state="active").count() == SigningKey.objects.filter(state="retired").count() == 5


def test_withdrawing_denies_a_key_at_once_and_another_signs() -> None:
    signed = token()
    assert signing.verify(signed, "idp", "jwt")
    first = kid(signed)

    signing.withdraw(first, by=SYSTEM, reason="leaked")

    with pytest.raises(jws.BadToken):
        signing.verify(signed, "idp", "jwt")
    assert first not in published()
    assert kid(token()) != first
    row = SigningKey.objects.get(kid=first)
    assert (row.state, bytes(row.sealed_private)) == ("withdrawn", b"")
    assert Change.objects.filter(signing_key_id=first).count() >= 2
    event = Event.objects.get(action="key.withdrawn")
    assert (event.reason, event.detail["was"]) == ("leaked", "active")
    with pytest.raises(signing.AlreadyWithdrawn):
        signing.withdraw(first, by=SYSTEM, reason="again")


def test_a_retired_key_can_be_withdrawn_without_a_change_of_the_active_one() -> None:
    old = token()
    signing.rotate("idp", by=SYSTEM, now=True)
    new = kid(token())
    signing.withdraw(kid(old), by=SYSTEM, reason="leaked")
    assert kid(token()) == new
    with pytest.raises(jws.BadToken):
        signing.verify(old, "idp", "jwt")


def test_two_active_keys_of_an_issuer_are_impossible() -> None:
    signing.ensure("idp")
    assert signing.ensure("idp").pk == SigningKey.objects.get().pk


def test_operators_see_rotate_and_withdraw_keys(capsys: pytest.CaptureFixture[str]) -> None:
    first = signing.ensure("idp").kid
    call_command("signing_keys", rotate="idp")
    assert "next" in capsys.readouterr().out
    with pytest.raises(CommandError, match="why"):
        call_command("signing_keys", withdraw=first)
    call_command("signing_keys", withdraw=first, reason="leaked")
    assert "withdrawn" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("signing_keys", withdraw="unknown", reason="x")


def test_a_key_set_is_public_and_cacheable_once_there_is_a_key(client: Any) -> None:  # noqa: ANN401 - Django's test client
    empty = client.get("/idp/jwks.json")
    assert (empty.json(), empty["Cache-Control"]) == ({"keys": []}, "no-store")
    signing.ensure("idp")
    answer = client.get("/idp/jwks.json")
    assert answer["Cache-Control"] == f"public, max-age={signing.JWKS_SECONDS}"
    assert [set(key) for key in answer.json()["keys"]] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}]
    assert client.get("/as/nowhere/jwks.json").status_code == 404
    assert client.post("/idp/jwks.json").status_code == 405
