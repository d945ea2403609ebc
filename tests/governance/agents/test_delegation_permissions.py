"""Who may act for an agent: permitted by its owner, seen on its page, withdrawn at once; over REST and on pages."""

from __future__ import annotations

import pytest

from audit.actions import Action
from audit.models import Event
from entitlements.agents import agents
from entitlements.delegation.models import DelegationPermission
from entitlements.feed.models import Change
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)

URL = "/api/v1/agents/research-bot/delegates"
WHY = {"actor": "helper", "reason": "It reads for it."}


def test_the_owner_permits_and_lists_over_rest_and_twice_changes_nothing(company: Company) -> None:
    make.agent("helper")
    otto = client.of(company.otto)

    made = otto.post(URL, WHY)

    assert (made.status_code, made.json()["agent"], made.json()["actor"]) == (201, "research-bot", "helper")
    assert otto.post(URL, WHY).json()["id"] == made.json()["id"]
    assert [row["actor"] for row in otto.get(URL).json()["results"]] == ["helper"]
    (event,) = Event.objects.filter(action=Action.DELEGATION_PERMITTED)
    assert set(event.about) == {"agent:research-bot", "agent:helper"}
    assert Change.objects.latest("seq").agent_id == company.bot.pk


def test_no_other_person_permits_and_an_agent_that_is_not_there_is_not_found(company: Company) -> None:
    make.agent("helper")
    assert client.of(company.ana).post(URL, WHY).status_code == 201
    assert client.of(company.mona).post(URL, WHY).status_code == 404
    assert client.of(company.resa).post(URL, WHY).status_code == 403
    assert client.of(company.otto).post(URL, {**WHY, "actor": "none"}).status_code == 404
    assert DelegationPermission.objects.count() == 1


def test_an_agent_delegates_neither_to_itself_nor_to_a_retired_one(company: Company) -> None:
    gone = make.agent("helper")
    agents.retire(gone, by=company.ana.principal, reason="Done.")
    otto = client.of(company.otto)

    assert otto.post(URL, {**WHY, "actor": "research-bot"}).json()["code"] == "delegation_to_itself"
    assert otto.post(URL, WHY).json()["code"] == "delegate_retired"
    assert not DelegationPermission.objects.exists()


def test_what_is_withdrawn_is_over_and_cannot_be_withdrawn_again(company: Company) -> None:
    make.agent("helper")
    otto = client.of(company.otto)
    pk = otto.post(URL, WHY).json()["id"]
    address = f"/api/v1/delegations/{pk}/withdraw"

    assert client.of(company.mona).post(address, {"reason": "x"}).status_code == 404
    ended = otto.post(address, {"reason": "Over."})

    assert (ended.status_code, ended.json()["end_reason"]) == (200, "Over.")
    assert otto.post(address, {"reason": "Again."}).status_code == 404
    assert otto.get(URL).json()["results"] == []
    assert Event.objects.filter(action=Action.DELEGATION_WITHDRAWN).count() == 1


def test_the_page_of_an_agent_shows_offers_and_ends_its_delegations(company: Company) -> None:
    make.agent("helper")
    otto = visits.as_(company.otto)
    assert "No other agent may act on behalf of this agent." in visits.text(otto.get("/agents/research-bot/"))

    done = otto.post("/agents/research-bot/delegates/", WHY, follow=True)
    assert "helper may act for it now, within what both may do." in visits.text(done)
    assert "lets this agent act on its behalf" in visits.text(visits.as_(company.ana).get("/agents/helper/"))
    assert "Permit the delegation" not in visits.text(visits.as_(company.resa).get("/agents/research-bot/"))

    pk = DelegationPermission.objects.get().pk
    otto.post(f"/delegations/{pk}/withdraw/", {"reason": "Over."})
    assert DelegationPermission.objects.get().end_reason == "Over."
