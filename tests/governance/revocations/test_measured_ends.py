"""How a receipt shows the ends of foreign tokens: on its page, as a file, and over the API."""

from __future__ import annotations

import pytest

from audit import clock
from entitlements.foreign_tokens import ends
from entitlements.foreign_tokens.models import ForeignToken, MeasuredEnds
from entitlements.foreign_tokens.rules import End, Finding, Means, Unknown, VendorAnswer
from entitlements.keys import signing
from entitlements.people.models import Role
from entitlements.revocation import record_keys, revocation
from entitlements.revocation.models import Revocation
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def waits() -> MeasuredEnds:
    """A receipt that waits for two accounts at a system, and for what a vendor minted."""
    person, system = make.person("alice"), make.system("drive")
    signing.ensure(record_keys.RECEIPTS)
    receipt = signing.sign(record_keys.RECEIPTS, {}, typ=revocation.RECEIPT_TYP)
    revoked = Revocation.objects.create(
        target_type="person", target_id="alice", reason="Left.", by="system", committed_at=clock.now(), receipt=receipt
    )
    found = MeasuredEnds.objects.create(revocation=revoked)
    using, _ = make.client(make.agent())
    for each in (person, make.person("bob")):
        token = ends.of_account(make.connected_account(each, system, using))
        found.tokens.add(token)
        ends.note(token, answer=VendorAnswer.REVOKED, alive_at=clock.now())
    found.tokens.add(ForeignToken.objects.create(system=make.system("maps"), named_at=clock.now()))
    return found


def measure(waits: MeasuredEnds) -> None:
    """Let the accounts be alive, and the others be what they are."""
    for token in waits.tokens.exclude(account=None):
        ends.measure(token.pk, Finding(End.ALIVE, (Means.CALL,)), clock.now())
    ends.settle_untried()
    assert ends.sign_due(record_keys.RECEIPTS) == 1
    assert ends.sign_due(record_keys.RECEIPTS) == 0


def test_the_page_says_pending_and_then_what_was_measured(waits: MeasuredEnds) -> None:
    browser = visits.as_(make.person("ana", roles=[Role.ANALYST]))
    path = f"/stop/receipts/{waits.pk}/"
    before = visits.text(browser.get(path))
    assert ("Pending" in before, "Alive" in before) == (True, False)
    assert "last worked" in before
    assert browser.get(f"{path}?ends").headers["Content-Type"].startswith("text/html"), "there is no file yet"
    measure(waits)
    after = visits.text(browser.get(path))
    for words in ("2 connected accounts", "Alive", "A call with the access token still works.", "does not hold these"):
        assert words in after
    waits.refresh_from_db()
    answer = browser.get(f"{path}?ends")
    assert (answer.headers["Content-Type"], answer.content.decode()) == ("application/jose", waits.statement)


def test_the_api_shows_the_ends_the_worst_first(waits: MeasuredEnds) -> None:
    asks = client.of(make.person("ana", roles=[Role.ANALYST]))
    path = f"/api/v1/revocations/{waits.pk}"
    assert {each["end"] for each in asks.get(path).json()["measured_ends"]["ends"]} == {"pending"}
    measure(waits)
    shown = asks.get(path).json()["measured_ends"]
    rows = [(each["system"], each["held"], each["count"], each["end"], each["why"]) for each in shown["ends"]]
    assert rows == [("drive", True, 2, "alive", ""), ("maps", False, 1, "unknown", Unknown.NOT_HELD)]
    assert shown["statement"].count(".") == 2
    Revocation.objects.create(target_type="agent", target_id="bot", reason="odd", by="system", committed_at=clock.now())
    listed = asks.get("/api/v1/revocations").json()["results"]
    assert [each["measured_ends"] is None for each in listed] == [True, False]
