"""Clients of agents over REST: who is not responsible for an agent gets a credential that waits for acceptance."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Person
from tests import shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)

BODY = {"client_id": "desk", "agent": "research-bot", "auth": "client_secret_basic"}


def post(person: Person, path: str, **body: Any) -> Any:  # noqa: ANN401 - Django's test response
    return client.proven(person).post(f"/api/v1/{path}", body, format="json")


def test_an_analyst_alone_gets_a_secret_that_opens_nothing_and_the_owner_lets_it_work(company: Company) -> None:
    asked = post(company.ana, "clients", **BODY)
    shown = asked.json()
    assert (asked.status_code, shown["state"], shown["acceptors"]) == (202, "waiting", ["sofia", "otto"])
    assert not Client.objects.exists()
    address = f"client-credentials/{shown['id']}"
    assert client.of(company.ana).get(f"/api/v1/{address}").json()["secret"] is None
    refused = post(company.ana, f"{address}/accept")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert client.of(company.mallory).get(f"/api/v1/{address}").status_code == 404
    unproven = client.of(company.otto).post(f"/api/v1/{address}/accept", {}, format="json")
    assert unproven.json()["code"] == "reauthentication_required"
    accepted = post(company.otto, f"{address}/accept").json()
    assert (accepted["state"], accepted["answered_by"], accepted["acceptors"]) == ("accepted", "person:otto", [])
    waiting = post(company.ana, "clients/desk/secret", reason="It was in a log.")
    assert (waiting.status_code, waiting.json()["purpose"]) == (202, "secret")
    listed = client.of(company.sofia).get("/api/v1/client-credentials?state=waiting&client_id=desk").json()
    assert [each["id"] for each in listed["results"]] == [waiting.json()["id"]]


def test_its_sponsor_owner_and_backup_owner_register_and_rotate_at_once(company: Company) -> None:
    company.bot.backup = company.mona
    company.bot.save()
    for person in (company.sofia, company.otto, company.mona):
        assert post(person, "clients", **{**BODY, "client_id": person.login}).status_code == 201
        assert post(person, f"clients/{person.login}/secret", reason="A drill.").status_code == 200
    assert post(company.mallory, "clients", **BODY).status_code == 404
    assert post(company.otto, "clients", client_id="script", auth="client_secret_basic").status_code == 403


def test_a_credential_is_refused_with_a_reason_by_who_may(company: Company) -> None:
    address = f"client-credentials/{post(company.ana, 'clients', **BODY).json()['id']}/refuse"
    assert post(company.bob, address, reason="x").status_code == 404
    assert post(company.sofia, address).status_code == 400
    assert post(company.sofia, address, reason="Not ours.").json()["state"] == "refused"
    late = post(company.otto, address.replace("refuse", "accept"))
    assert (late.status_code, late.json()["code"]) == (409, "credential_already_answered")


def test_an_agent_without_an_active_responsible_person_gets_no_client(company: Company) -> None:
    for person in (company.sofia, company.otto):
        people.disable(person, by=company.resa.principal, reason="Left.")
    refused = post(company.ana, "clients", **BODY)
    assert (refused.status_code, refused.json()["code"]) == (409, "credential_has_no_acceptor")
