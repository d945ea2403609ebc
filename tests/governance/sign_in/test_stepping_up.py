"""What weighs most asks who it is when the proof is older than five minutes, and goes on with what was sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from audit import clock
from audit.models import Event
from entitlements.people.models import Person, Role
from governance.reviews.population import campaigns
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

# What is sent where, by whom of the company; a form that is sent twice would say so.
WEIGHTY = {
    "a token for scripts": ("/settings/tokens/", "ana", {"label": "nightly", "lasts": "7"}),
    "stopping everything": ("/stop/everything/", "ana", {"typed": "everything", "reason": "Drill."}),
    "starting again": ("/stop/start-again/", "ana", {"reason": "It was a drill."}),
    "another address for a system": ("/systems/clock/edit/", "ana", {"name": "Clock", "version": "1"}),
    "a client with a secret": ("/agents/research-bot/clients/add/", "ana", {"client_id": "bot-2"}),
    "another secret for a client": ("/agents/research-bot/clients/c-1/", "ana", {"verb": "rotate", "reason": "Old."}),
    "giving a role": ("/people/bob/role/", "admin", {"verb": "give", "role": "analyst", "reason": "Promoted."}),
    "approving what is high": ("/requests/{request}/", "sofia", {"verb": "approve", "version": "1", "tool": "wipe"}),
}
LOOKED_AT = {"the back office": "/admin/", "an export": "/reviews/q4/evidence.csv"}


def _company() -> companies.Company:
    found = companies.found()
    make.client(found.bot, "c-1")
    return found


made_world, company = shared.world(_company)


def _who(company: companies.Company, login: str) -> Person:
    return make.person("adele", roles=[Role.ADMIN]) if login == "admin" else company.named(login)


def _long_ago(person: Person) -> Client:
    """Return a browser in which somebody with a password has been signed in for long."""
    person.set_password("correct horse battery staple")
    person.save()
    return visits.as_(person, fresh=False)


def _events() -> set[str]:
    return set(Event.objects.values_list("action", flat=True))


@pytest.mark.parametrize("what", WEIGHTY)
def test_an_old_proof_changes_nothing_and_keeps_the_form(company: companies.Company, what: str) -> None:
    path, login, form = WEIGHTY[what]
    asked = company.ask("wipe")
    browser, path = _long_ago(_who(company, login)), path.format(request=asked.pk)
    before = _events()
    answer = browser.post(path, form)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/login/again/")
    assert _events() == before
    assert all(value in browser.session["account_reauthentication_state"]["request"] for value in ("POST", path))


@pytest.mark.parametrize("what", LOOKED_AT)
def test_an_old_proof_shows_nothing_of_it(company: companies.Company, what: str) -> None:
    campaigns.make("q4", name="Q4", due_at=clock.now() + timedelta(days=9), by=company.ana)
    browser = _long_ago(company.ana)
    answer = browser.get(LOOKED_AT[what])
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/login/again/")
