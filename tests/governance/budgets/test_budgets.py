"""Budgets over the API and in the console: who sets, sees and ends them, and what is shown of each."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from audit import clock
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget, BudgetUse
from entitlements.feed.models import GatewayNode
from entitlements.node.isolation.models import SystemPause
from governance.budgets import queries
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
CALLS = {"unit": "calls", "amount": "100", "window": "PT1H", "reason": "A usual day."}


@pytest.fixture
def company() -> Company:
    return companies.found()


def posted(company: Company, login: str, address: str = "budgets", **values: Any) -> Any:  # noqa: ANN401 - JSON
    return client.of(company.named(login)).post(f"/api/v1/{address}", {**CALLS, **values}, format="json")


def of_system(company: Company) -> Budget:
    what = What("calls", Decimal(100), timedelta(hours=1))
    return budgets.set_budget(what, by=company.ana, reason="A bound.", system=company.system.slug)


def test_an_analyst_sets_one_and_sees_what_is_taken(company: Company) -> None:
    made = posted(company, "ana", agent=company.bot.slug)
    assert made.status_code == 201
    BudgetUse.objects.update(taken=40)
    shown = client.of(company.ana).get(f"/api/v1/budgets/{made.json()['id']}").json()
    assert (shown["agent"], shown["amount"], shown["taken"]) == (company.bot.slug, "100.0000", "40.0000")
    assert shown["window_ends_at"] is not None
    BudgetUse.objects.update(began=clock.now() - timedelta(hours=2))
    assert client.of(company.ana).get("/api/v1/budgets").json()["results"][0]["taken"] == "0.0000"


@pytest.mark.parametrize("login", ["sofia", "otto", "sam", "mona", "alice"])
def test_no_other_role_sets_one_for_anything(login: str, company: Company) -> None:
    assert posted(company, login, agent=company.bot.slug).status_code == 403
    assert not Budget.objects.exists()


def test_the_owner_of_a_system_sets_one_for_it_and_ends_it(company: Company) -> None:
    slug = company.system.slug
    made = posted(company, "sam", f"systems/{slug}/budget")
    assert (made.status_code, made.json()["system"]) == (201, slug)
    assert posted(company, "otto", f"systems/{slug}/budget").status_code in (403, 404)
    end = f"/api/v1/budgets/{made.json()['id']}/end"
    assert client.of(company.otto).post(end, {"reason": "x"}, format="json").status_code in (403, 404)
    assert client.of(company.sam).post(end, {"reason": "Over."}, format="json").status_code == 200
    assert client.of(company.sam).post(end, {"reason": "Again."}, format="json").json()["code"] == "budget_over"


def test_who_sees_an_agent_sees_its_budget_and_others_find_nothing(company: Company) -> None:
    row = budgets.set_budget(What("calls", Decimal(1)), by=company.ana, reason="A bound.", agent=company.bot.slug)
    seen = {login: client.of(company.named(login)).get(f"/api/v1/budgets/{row.pk}").status_code for login in
            ("sofia", "otto", "resa", "mallory", "bob")}  # fmt: skip
    assert seen == {"sofia": 200, "otto": 200, "resa": 200, "mallory": 404, "bob": 404}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "budget_target_invalid"),
        ({"agent": "unknown"}, "budget_target_invalid"),
        ({"agent": "research-bot", "amount": "0"}, "budget_malformed"),
        ({"agent": "research-bot", "window": "PT0.5S"}, "budget_malformed"),
        ({"agent": "research-bot", "unit": "money", "currency": "EUR", "argument": "a"}, "budget_tool_invalid"),
    ],
)
def test_what_counts_nothing_is_refused_with_its_code(values: dict[str, str], code: str, company: Company) -> None:
    refused = posted(company, "ana", **values)
    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_the_form_sets_one_and_the_pages_show_it(company: Company) -> None:
    console = visits.as_(company.ana)
    form = console.get(f"/budgets/set/?agent={company.bot.slug}")
    assert company.bot.name in form.content.decode()
    sent = {"agent": company.bot.slug, "unit": "calls", "amount": "100", "window": "86400", "reason": "A usual day."}
    done = console.post("/budgets/set/", sent)
    row = Budget.objects.get()
    assert (done.status_code, done["Location"]) == (302, f"/budgets/{row.pk}/")
    BudgetUse.objects.update(taken=95)
    for address in ("/budgets/", f"/budgets/{row.pk}/", f"/agents/{company.bot.slug}/"):
        assert "95 %" in console.get(address).content.decode(), address
    assert console.post(f"/budgets/{row.pk}/", {"reason": "Over."}).status_code == 302
    assert Budget.objects.get().ended_at is not None
    assert "No rate or budget." in console.get(f"/agents/{company.bot.slug}/").content.decode()


def test_a_pause_shows_while_its_node_lives(company: Company) -> None:
    now = clock.now()
    node = GatewayNode.objects.create(pk="node-9", started_at=now - timedelta(hours=1), polled_at=now, position=0)
    pause = SystemPause.objects.create(system=company.system, node="node-9", since=now, failures=10)
    page = visits.as_(company.ana).get(f"/systems/{company.system.slug}/").content.decode()
    assert "node-9" in page
    assert list(queries.pauses(company.system)) == [pause]
    GatewayNode.objects.filter(pk=node.pk).update(started_at=now + timedelta(seconds=1))
    assert not queries.pauses(company.system)
    SystemPause.objects.create(system=company.system, node="node-gone", since=now, failures=10)
    assert not queries.pauses(company.system)


def test_a_budget_of_a_system_shows_on_its_page_with_its_bar(company: Company) -> None:
    of_system(company)
    BudgetUse.objects.update(taken=10)
    assert "10 %" in visits.as_(company.sam).get(f"/systems/{company.system.slug}/").content.decode()
