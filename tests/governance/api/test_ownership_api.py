"""Naming who answers for an agent by API: analysts do, for others, with a reason."""

from __future__ import annotations

import pytest

from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


@pytest.mark.parametrize("office", ["sponsor", "owner"])
def test_an_analyst_names_others_and_never_herself(company: companies.Company, office: str) -> None:
    ana, path = client.of(company.ana), f"/api/v1/agents/research-bot/{office}"
    named = ana.post(path, {"person": "mona", "reason": "New team."}, format="json")
    assert (named.status_code, named.json()[office]) == (200, "mona")
    own = ana.post(path, {"person": "ana", "reason": "Mine."}, format="json")
    assert (own.status_code, own.json()["code"]) == (403, "own_appointment")
    assert ana.post(path, {"person": "nobody", "reason": "x"}, format="json").json()["code"] == "unknown_person"
    assert ana.post(path, {"person": "sam"}, format="json").status_code == 400


@pytest.mark.parametrize(("login", "status"), [("otto", 403), ("sofia", 403), ("mallory", 403), ("resa", 403)])
def test_nobody_else_names_anybody(company: companies.Company, login: str, status: int) -> None:
    body = {"person": "mallory", "reason": "x"}
    answer = client.of(company.named(login)).post("/api/v1/agents/research-bot/sponsor", body, format="json")
    assert answer.status_code == status
    company.bot.refresh_from_db()
    assert company.bot.sponsor == company.sofia
