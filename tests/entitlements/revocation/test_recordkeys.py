"""What is kept verifies as long as it is kept: its keys stay published, apart from those of tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses, tasks
from entitlements.feed import changes
from entitlements.keys import jws, public_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.people.models import Role
from entitlements.revocation import record_keys, revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.record_keys import Standing
from governance.operations import after_restore
from tests import make, own_keys
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
Clock = Callable[[datetime | timedelta], datetime]


@pytest.fixture(autouse=True)
def _no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle within the test's transaction, as if no gateway were running."""
    monkeypatch.setattr(changes, "position", lambda _change: 1)
    monkeypatch.setattr(changes, "wait_for_nodes", lambda _position, _since: ([], []))


def stop() -> Revocation:
    return revocation.revoke(
        revocation.Target("agent", make.agent(f"bot-{Revocation.objects.count()}").slug),
        by=make.analyst().principal,
        reason="odd",
        wait=True,
    )


def key_set(path: str = "/records/jwks.json") -> dict[str, dict[str, Any]]:
    answer = Browser().get(path)
    assert answer.status_code == 200
    return {key["kid"]: key for key in answer.json()["keys"]}


def kid_of(stopped: Revocation) -> str:
    return jws.read(stopped.receipt).kid or ""


def verifies(stopped: Revocation) -> bool:
    """Check a receipt as a stranger does: with the published set alone."""
    signed = jws.read(stopped.receipt)
    published = public_keys.read_set({"keys": list(key_set().values())})
    return bool(jws.check(signed, jws.choose(signed, published))["id"] == str(stopped.pk))


def test_a_receipt_verifies_years_after_its_key_was_retired_and_no_token_does(at: Clock) -> None:
    now = at(timedelta())
    stopped = stop()
    kid = kid_of(stopped)
    signing.rotate(record_keys.RECEIPTS, by=SYSTEM, now=True)
    for later in (signing.TAIL + timedelta(minutes=1), timedelta(days=7 * 365)):
        at(now + later)
        assert verifies(stopped)
        assert revocation.receipt_standing(stopped) is Standing.VALID
        assert record_keys.check(stopped.receipt, revocation.RECEIPT_TYP, lambda: None)[1] is Standing.VALID

    member = key_set()[kid]
    assert (member["status"], member["issuer"], member["use"]) == ("retired", "receipts", "sig")
    assert abs(member["exp"] - now.timestamp()) < 5
    assert "d" not in member
    assert kid not in key_set("/idp/jwks.json")


@pytest.mark.parametrize("issuer", ["idp", "as/time"])
def test_a_key_of_what_is_kept_signs_no_token(issuer: str) -> None:
    stop()
    now = int(clock.now().timestamp())
    key = own_keys.held(signing.active_kid(record_keys.RECEIPTS))
    forged = jws.sign({"iss": addresses.issuer(issuer), "iat": now, "exp": now + 300}, key, "JWT")
    with pytest.raises(jws.BadToken):
        signing.verify(forged, issuer, "jwt")
    documents = [Browser().get(f"/.well-known/{name}/idp").json() for name in ("openid-configuration",)]
    assert record_keys.PATH not in str(documents)
    assert addresses.issuer(record_keys.RECEIPTS) not in {each["issuer"] for each in documents}


def test_a_key_of_tokens_is_not_published_for_receipts_and_signs_no_token_once_it_is_retired(at: Clock) -> None:
    now = at(timedelta())
    forged = signing.sign("idp", {"id": "r"}, revocation.RECEIPT_TYP)
    claims = {"iss": addresses.issuer("idp"), "iat": int(now.timestamp()), "exp": int(now.timestamp()) + 10**6}
    token = signing.sign("idp", claims, "JWT")
    kid = signing.active_kid("idp")
    at(now + timedelta(days=2))
    signing.rotate("idp", by=SYSTEM, now=True)
    stop()

    with pytest.raises(jws.BadToken):
        record_keys.check(forged, revocation.RECEIPT_TYP, lambda: now)
    assert not {kid, signing.active_kid("idp")} & key_set().keys()
    at(now + timedelta(days=5))
    with pytest.raises(jws.BadToken):
        signing.verify(token, "idp", "jwt")


def test_what_a_denied_key_signed_before_it_was_in_other_hands_is_told_apart(at: Clock) -> None:
    now = at(timedelta())
    before = stop()
    at(now + timedelta(hours=2))
    after = stop()
    kid = kid_of(before)
    assert kid_of(after) == kid
    at(now + timedelta(hours=3))

    signing.withdraw(kid, by=SYSTEM, reason="seen in a paste", since=now + timedelta(hours=1))

    assert revocation.receipt_standing(before) is Standing.BEFORE_COMPROMISE
    assert revocation.receipt_standing(after) is Standing.DOUBTFUL
    assert verifies(before)
    member = key_set()[kid]
    assert member["status"] == "withdrawn"
    assert member["revoked"] == {"revoked_at": int((now + timedelta(hours=3)).timestamp()), "reason": "compromised"}
    assert member["compromised_since"] == int((now + timedelta(hours=1)).timestamp())
    assert "compromised_since" in Event.objects.get(action="key.withdrawn").detail

    fresh = stop()  # another key signs from then on
    assert kid_of(fresh) != kid
    assert revocation.receipt_standing(fresh) is Standing.VALID


def test_where_nobody_says_since_when_everything_a_denied_key_signed_is_in_doubt() -> None:
    stopped = stop()
    signing.withdraw(kid_of(stopped), by=SYSTEM, reason="seen in a paste")
    assert revocation.receipt_standing(stopped) is Standing.DOUBTFUL
    SigningKey.objects.update(compromised_since=None, withdrawn_at=None)  # denied by the release before
    assert revocation.receipt_standing(stopped) is Standing.DOUBTFUL
    assert "compromised_since" in key_set()[kid_of(stopped)]


def test_a_key_cannot_be_compromised_since_a_time_to_come() -> None:
    kid = kid_of(stop())
    with pytest.raises(signing.SinceInFuture):
        signing.withdraw(kid, by=SYSTEM, reason="x", since=clock.now() + timedelta(hours=1))
    with pytest.raises(CommandError, match="in the future"):
        call_command("signing_keys", withdraw=kid, reason="x", since=datetime(2100, 1, 1))  # noqa: DTZ001 - as typed
    assert SigningKey.objects.get(kid=kid).state == "active"


def test_after_a_restore_receipts_of_before_are_as_good_as_they_were(at: Clock) -> None:
    now = at(timedelta())
    stopped = stop()
    at(now + timedelta(hours=1))
    after_restore.after_restore(by=SYSTEM, reason="disk lost")
    assert revocation.receipt_standing(stopped) is Standing.VALID
    assert key_set()[kid_of(stopped)]["revoked"]["reason"] == "superseded"


def test_the_api_and_the_page_say_what_a_receipt_is_worth(at: Clock) -> None:
    now = at(timedelta())
    ana, admin = make.analyst(), client.proven(make.person(roles=[Role.ADMIN]))
    stopped, where = stop(), "/api/v1/revocations"
    page = f"/stop/receipts/{stopped.pk}/"
    assert client.of(ana).get(f"{where}/{stopped.pk}").json()["receipt_standing"] == "valid"
    assert "Key revoked later" not in visits.text(visits.as_(ana).get(page))

    address, early = f"/api/v1/keys/{kid_of(stopped)}/withdraw", (now - timedelta(days=9)).isoformat()
    late = (clock.now() + timedelta(hours=1)).isoformat()
    asked = {"reason": "seen in a paste", "compromised_since": late}
    assert admin.post(address, asked).json()["code"] == "compromised_since_in_future"
    denied = admin.post(address, {**asked, "compromised_since": early}).json()
    assert (denied["state"], denied["compromised_since"][:10]) == ("withdrawn", early[:10])

    assert [row["receipt_standing"] for row in client.of(ana).get(where).json()["results"]] == ["doubtful"]
    assert "Unknown" in visits.text(visits.as_(ana).get(page))
    SigningKey.objects.filter(state="withdrawn").update(compromised_since=clock.now() + timedelta(hours=1))
    assert "Key revoked later" in visits.text(visits.as_(ana).get(page))


def test_another_token_or_an_unknown_key_is_no_receipt() -> None:
    stopped = stop()
    with pytest.raises(jws.BadToken):
        record_keys.check(stopped.receipt, "jwt", lambda: None)
    assert record_keys.standing("nothing", lambda: stopped.committed_at) is Standing.UNKNOWN


def test_keys_of_what_is_kept_are_rotated_like_the_others(at: Clock) -> None:
    now = at(timedelta())
    kid = kid_of(stop())
    at(now + signing.ROTATE_AFTER + timedelta(minutes=1))
    tasks.rotate_signing_keys()
    at(now + signing.ROTATE_AFTER + signing.LEAD + timedelta(minutes=2))
    tasks.rotate_signing_keys()
    assert kid_of(stop()) != kid
    assert not SigningKey.objects.filter(issuer=record_keys.EVIDENCE).exists()
