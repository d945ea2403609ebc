"""The catalogue: found by words, told in words, with the names of those who would have to answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from audit import clock
from entitlements.catalog import search
from entitlements.catalog.models import Entitlement, EntitlementTool, Tool, ToolVersion
from entitlements.definitions import definitions
from entitlements.people.models import Person
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


@pytest.fixture
def payments() -> Entitlement:
    system = make.system("ledger")
    pay = make.tool(system, "create_payment", sentence="Pays an invoice.", risk="critical")
    return make.entitlement(system, pay, scope="ledger:pay")


def _found(browser: Client, **asked: str) -> list[str]:
    page = visits.text(browser.get("/entitlements/", asked))
    return [scope.replace("%3A", ":") for scope in re.findall(r"/requests/new/\?entitlement=([^\"&]+)", page)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["clock:use", "ledger:pay"]),
        ("INVOICE", ["ledger:pay"]),
        ("voice pays", ["ledger:pay"]),
        ("create_pay", ["ledger:pay"]),
        ("ledger", ["ledger:pay"]),
        ("invoice clock", []),
        ("100%", []),
        ("_", ["ledger:pay"]),
    ],
)
@pytest.mark.usefixtures("payments")
def test_each_word_must_stand_somewhere_in_what_it_says(
    company: companies.Company, text: str, found: list[str]
) -> None:
    assert _found(visits.as_(company.ana), q=text) == found


def test_what_waits_for_its_review_is_not_searched_and_what_cannot_be_asked_for_not_shown(
    company: companies.Company, payments: Entitlement
) -> None:
    Tool.objects.filter(name="create_payment").update(state="quarantined")
    assert _found(visits.as_(company.ana), q="invoice") == []
    payments.enabled = False
    payments.save()
    assert "ledger:pay" not in visits.text(visits.as_(company.ana).get("/entitlements/"))


def test_who_sees_no_system_finds_nothing(company: companies.Company) -> None:
    assert _found(visits.as_(company.mallory)) == []


def test_it_names_who_would_answer_whoever_looks(company: companies.Company) -> None:
    page = visits.text(visits.as_(company.otto).get("/entitlements/", {"agent": "research-bot"}))
    assert re.findall(r"<strong>(\w+)</strong>", page) == ["Sofia", "Sam", "Resa", "Rob"]
    page = visits.text(visits.as_(company.sofia).get("/entitlements/", {"agent": "research-bot"}))
    assert "Sofia</strong>" not in page, "nobody answers what they ask for"


def test_it_says_when_nobody_could_answer(company: companies.Company) -> None:
    for who in (company.resa, company.rob, company.sam):
        Person.objects.filter(pk=who.pk).update(is_active=False, disabled_at=clock.now())
    page = visits.text(visits.as_(company.otto).get("/entitlements/", {"agent": "research-bot"}))
    assert "Not eligible: you have a conflict of interest with every approver" in page


def test_asking_goes_on_with_what_was_found(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    page = visits.text(browser.get("/entitlements/", {"q": "now"}))
    link = re.search(r'href="(/requests/new/[^"]+)"', page)
    assert link
    assert "2. Tools: request only what is needed" in visits.text(browser.get(link[1].replace("&amp;", "&")))


def test_over_rest_the_same_words_find_the_same(company: companies.Company, payments: Entitlement) -> None:
    found: list[dict[str, Any]] = client.of(company.ana).get("/api/v1/entitlements?q=invoice").json()["results"]
    assert [each["scope"] for each in found] == [payments.scope]


def test_a_page_costs_as_many_queries_for_many_tools_as_for_few(
    company: companies.Company, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make.entitlement(company.system, *(make.tool(company.system) for _ in range(30)), scope="clock:all")
    browser = visits.as_(company.otto)
    with django_assert_max_num_queries(40):
        browser.get("/entitlements/")


def _rows_read(node: dict[str, Any]) -> int:
    """Count the rows that a plan and what is below it read from tables, whether they were kept or not."""
    below: int = sum(map(_rows_read, node.get("Plans", [])))
    if "Relation Name" not in node:
        return below
    read: int = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return below + read * int(node["Actual Loops"])


def test_each_word_is_looked_for_once_in_each_tool(company: companies.Company) -> None:
    system, raw, now = company.system, {"name": "t", "inputSchema": {"type": "object"}}, clock.now()
    tools = Tool.objects.bulk_create(
        Tool(system=system, name=f"tool_{n}", sentence=f"Looks after the matter of number {n}.") for n in range(800)
    )
    versions = ToolVersion.objects.bulk_create(
        ToolVersion(tool=tool, definition=raw, sha256=definitions.digest(raw), seen_at=now) for tool in tools
    )
    for tool, version in zip(tools, versions, strict=True):
        tool.approved, tool.state = version, Tool.State.APPROVED
    Tool.objects.bulk_update(tools, ["approved", "state"])
    bundles = Entitlement.objects.bulk_create(
        Entitlement(system=system, scope=f"clock:b{n}", name=f"Bundle {n}") for n in range(80)
    )
    EntitlementTool.objects.bulk_create(
        EntitlementTool(entitlement=bundles[n // 10], tool=tool) for n, tool in enumerate(tools)
    )
    found = search.search(Entitlement.objects.all(), "matter 777").order_by("scope")[:20]
    assert [row.scope for row in found] == ["clock:b77"]
    [plan] = json.loads(found.explain(analyze=True, format="json"))
    assert _rows_read(plan["Plan"]) < 2 * 3 * len(tools), "two words, each in tools, lines and entitlements once"
