"""Asking somebody to answer for an agent by API: analysts do, others than themselves, and who is asked answers."""

from __future__ import annotations

import pytest

from tests import shared
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


@pytest.mark.parametrize("office", ["sponsor", "owner", "backup"])
def test_an_analyst_asks_others_and_never_herself(company: companies.Company, office: str) -> None:
    ana, path = client.of(company.ana), f"/api/v1/agents/research-bot/{office}"
    asked = ana.post(path, {"person": "mona", "reason": "New team."}, format="json")
    shown = asked.json()
    assert (asked.status_code, shown["office"], shown["person"], shown["state"]) == (201, office, "mona", "waiting")
    assert ana.get("/api/v1/agents/research-bot").json()[office] != "mona"
    own = ana.post(path, {"person": "ana", "reason": "Mine."}, format="json")
    assert (own.status_code, own.json()["code"]) == (403, "self_appointment")
    assert ana.post(path, {"person": "nobody", "reason": "x"}, format="json").json()["code"] == "unknown_person"
    assert ana.post(path, {"person": "sam"}, format="json").status_code == 400
    assert ana.post(f"/api/v1/ownership-proposals/{shown['id']}/accept").json()["code"] == "ownership_not_offered"
    mona = client.of(company.mona)
    assert [each["id"] for each in mona.get("/api/v1/ownership-proposals?state=waiting").json()["results"]] == [
        shown["id"]
    ]
    assert mona.post(f"/api/v1/ownership-proposals/{shown['id']}/accept").json()["state"] == "accepted"
    assert ana.get("/api/v1/agents/research-bot").json()[office] == "mona"


def test_who_is_asked_declines_with_a_reason(company: companies.Company) -> None:
    body = {"person": "mona", "reason": "New team."}
    shown = client.of(company.ana).post("/api/v1/agents/research-bot/sponsor", body, format="json").json()
    mona, path = client.of(company.mona), f"/api/v1/ownership-proposals/{shown['id']}/decline"
    assert mona.post(path, {}, format="json").status_code == 400
    assert mona.post(path, {"reason": "Too much."}, format="json").json()["state"] == "declined"
    assert mona.post(path, {"reason": "Too much."}, format="json").json()["code"] == "proposal_already_answered"
    assert client.of(company.mallory).get(f"/api/v1/ownership-proposals/{shown['id']}").status_code == 404


@pytest.mark.parametrize(("login", "status"), [("otto", 403), ("sofia", 403), ("mallory", 403), ("resa", 403)])
def test_nobody_else_names_anybody(company: companies.Company, login: str, status: int) -> None:
    body = {"person": "mallory", "reason": "x"}
    answer = client.of(company.named(login)).post("/api/v1/agents/research-bot/sponsor", body, format="json")
    assert answer.status_code == status
    company.bot.refresh_from_db()
    assert company.bot.sponsor == company.sofia
