"""The pages of a stop, a drill and a proof."""

from __future__ import annotations

import pytest

from entitlements.keys import jws
from entitlements.revocation.models import Drill, Revocation
from governance.revocations.pages import receipts
from tests import make
from tests.governance import companies
from tests.governance.console import visits


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


@pytest.mark.django_db(transaction=True)
def test_a_proof_is_asked_for_on_the_receipt_and_downloaded_with_the_verifier(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    browser = visits.as_(company.ana)
    browser.post("/stop/agent/research-bot/", {"reason": "Odd behaviour."})
    stop = Revocation.objects.get()
    assert browser.post(f"/stop/receipts/{stop.pk}/prove/")["Location"] == f"/stop/receipts/{stop.pk}/#proof"
    proven = visits.text(browser.get(f"/stop/receipts/{stop.pk}/"))
    assert "No gateway node was there to be asked." in proven
    signed = browser.get(f"/stop/receipts/{stop.pk}/?proof={stop.proofs.get().pk}")
    assert jws.read(signed.content.decode()).claims["result"] == "incomplete"
    assert browser.get(f"/stop/receipts/{stop.pk}/?verifier").content == receipts.VERIFIER.read_bytes()


@pytest.mark.django_db(transaction=True)
def test_a_drill_leads_to_its_receipt_stops_nothing_and_is_listed_apart(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    browser = visits.as_(company.ana)
    response = browser.post("/stop/agent/research-bot/", {"reason": "Quarterly.", "drill": "1"})
    drill = Drill.objects.get()
    assert response["Location"] == f"/stop/drills/{drill.pk}/"
    page = visits.text(browser.get(response["Location"]))
    assert "nothing was stopped" in page
    assert "Prove it" not in page
    assert "Quarterly." in visits.text(browser.get("/stop/drills/"))
    assert "Quarterly." not in visits.text(browser.get("/stop/"))
    company.bot.refresh_from_db()
    assert (company.bot.status, Revocation.objects.count()) == ("active", 0)
    unsaid = browser.post("/stop/system/clock/", {"reason": " ", "drill": "1"})
    assert (unsaid.status_code, Drill.objects.count()) == (422, 1)


@pytest.mark.django_db(transaction=True)
def test_a_person_is_stopped_with_their_agents_by_who_may_stop_each(company: companies.Company) -> None:
    login = company.bot.sponsor.login
    browser = visits.as_(company.ana)
    assert company.bot.name in visits.text(browser.get(f"/stop/person_agents/{login}/"))
    response = browser.post(f"/stop/person_agents/{login}/", {"reason": "Stolen.", "typed": login})
    page = visits.text(browser.get(response["Location"]))
    assert "A second person restores each" in page
    company.bot.refresh_from_db()
    assert company.bot.status == "suspended"
