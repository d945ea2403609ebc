"""Resources, templates and prompts in the console and the API: found by kind, approved, requested, stopped."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.urls import reverse

from audit.context import SYSTEM
from entitlements.catalog import discovery
from entitlements.catalog.models import Tool
from entitlements.definitions import offers
from entitlements.definitions.primitives import Primitive
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
ORDER = "resources/templates/crm://orders/{order}?as=text"
NOTES, REPORT = "resources/crm://notes", "prompts/visit%20report"
FLOWS = {"reads_private": True, "ingests_untrusted": False, "egress_external": False}


def _company() -> Company:
    """Make the company, and let its system offer one of each kind."""
    company = companies.found()
    offered = [
        offers.listed(Primitive.RESOURCE, {"uri": "crm://notes", "name": "notes", "description": "All notes."}),
        offers.listed(Primitive.TEMPLATE, {"uriTemplate": ORDER.removeprefix("resources/templates/"), "name": "order"}),
        offers.listed(Primitive.PROMPT, {"name": "visit report", "arguments": [{"name": "customer"}]}),
    ]
    discovery.record_discovery(company.system, offered, by=SYSTEM, complete=False)
    return company


made_world, company = shared.world(_company)


def page(company: Company, name: str) -> str:
    return reverse("tool-page", args=[company.system.slug, name])


def approve(company: Company, name: str) -> Tool:
    """Approve one by the API, as its address names it."""
    address = reverse("tool-approve", args=[company.system.slug, name])
    seen = client.of(company.ana).get(address.removesuffix("/approve")).json()["seen"]["sha256"]
    body = {"sha256": seen, "sentence": "Reads.", "action": "read", "risk": "low", **FLOWS}
    assert client.of(company.ana).post(address, body, format="json").status_code == 200
    return company.system.tools.select_related("system").get(name=name)


def test_each_kind_is_a_word_and_a_filter(company: Company) -> None:
    ana = visits.as_(company.ana)
    for kind, word in (("resource", "Resource"), ("resource_template", "Resource template"), ("prompt", "Prompt")):
        shown = visits.text(ana.get(f"/tools/?kind={kind}"))
        assert word in shown
        assert "1 row" in shown
        rows = client.of(company.ana).get(f"/api/v1/tools?primitive={kind}").json()["results"]
        assert [row["primitive"] for row in rows] == [kind]
    assert "crm://notes" in visits.text(ana.get(f"/systems/{company.system.slug}/"))


@pytest.mark.parametrize("name", [NOTES, ORDER, REPORT])
def test_one_is_approved_and_stopped_at_its_own_address(company: Company, name: str) -> None:
    ana = visits.as_(company.ana)
    shown = visits.text(ana.get(page(company, name)))
    assert "Offered definition, not approved" in shown
    assert approve(company, name).state == "approved"
    assert ana.post(page(company, name), {"verb": "quarantine", "reason": "test"})["Location"] == page(company, name)
    assert company.system.tools.get(name=name).state == "quarantined"
    assert ana.get(reverse("stop", args=["tool", f"{company.system.slug}/{name}"])).status_code == 200


def test_a_template_is_requested_with_limits_on_its_variables(company: Company) -> None:
    tool = approve(company, ORDER)
    bundle = make.entitlement(company.system, tool, scope="clock:orders")
    query = urlencode({"agent": company.bot.slug, "entitlement": bundle.scope, "tool": ORDER})
    shown = visits.text(visits.as_(company.otto).get(f"/requests/new/?{query}"))
    assert f"limit:{ORDER}:order" in shown
    asked = make.request(
        bundle, company.bot, by=company.otto, people=[company.alice], limits={ORDER: {"order": {"one_of": ["7"]}}}
    )
    line = asked.lines.get()
    assert (line.tool.name, line.limits) == (ORDER, {"order": {"one_of": ["7"]}})


def test_a_resource_has_no_limit_to_set(company: Company) -> None:
    bundle = make.entitlement(company.system, approve(company, NOTES), scope="clock:notes")
    query = urlencode({"agent": company.bot.slug, "entitlement": bundle.scope})
    shown = visits.text(visits.as_(company.otto).get(f"/requests/new/?{query}"))
    assert "crm://notes" in shown
    assert f"limit:{NOTES}" not in shown
