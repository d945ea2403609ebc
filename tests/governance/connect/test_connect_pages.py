"""Connect a client: what each person is offered, what is filled in, and whose steps the light shows."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.db import transaction
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit import clock
from entitlements import addresses
from entitlements.agents import personal_agents
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.sessions.models import Session
from governance.connect import recipes
from tests import begun, make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return companies.found()


@pytest.fixture
def desk(company: Company) -> Client:
    """A client for Claude Code of an agent that acts for alice."""
    tool = make.tool(company.system)
    make.grant(company.bot, make.entitlement(company.system, tool, scope="erp:look"), people=[company.alice])
    client, _ = make.client(company.bot, "desk", auth=Client.Auth.NONE)
    return make.rewrite(client, redirect_uris="http://localhost/callback http://127.0.0.1/oauth/callback")


def _show(browser: Browser, **query: str) -> str:
    answer = browser.get("/connect/", query)
    assert answer.status_code == 200
    return unescape(visits.text(answer))


def test_an_employee_is_given_the_exact_commands_for_the_agent_that_acts_for_them(
    company: Company, desk: Client, settings: Settings
) -> None:
    address = f"{settings.GATEWAY_URL}/gw/{company.system.slug}/mcp"
    page = _show(visits.as_(company.alice), agent=company.bot.slug)
    assert f"claude mcp add --transport http --client-id desk {company.system.slug} {address}" in page
    assert f"claude mcp login {company.system.slug}" in page
    assert "Not tested by us" in page
    assert "is not registered for" not in page
    assert "Roll out" not in page
    assert desk.client_id in page


def test_an_employee_sees_no_system_of_others_and_no_client_in_which_people_do_not_sign_in(
    company: Company, desk: Client
) -> None:
    del desk
    other = make.system("payroll")
    make.grant(company.bot, make.entitlement(other, make.tool(other), scope="payroll:use"), people=[company.bob])
    make.client(company.bot, "nightly")
    page = _show(visits.as_(company.alice), agent=company.bot.slug, system="payroll", client="nightly")
    assert "/gw/clock/mcp" in page
    assert "/gw/payroll/mcp" not in page
    assert 'value="payroll"' not in page
    assert "<option>nightly" not in page
    page = _show(visits.as_(company.sofia), agent=company.bot.slug, system="payroll")
    assert "/gw/payroll/mcp" in page
    assert "<option>nightly" in page


@pytest.mark.parametrize("who", ["bob", "mallory"])
def test_an_employee_for_whom_no_agent_acts_is_offered_none(company: Company, desk: Client, who: str) -> None:
    page = _show(visits.as_(getattr(company, who)), agent=company.bot.slug)
    assert "no agent acts for you" in page
    assert desk.client_id not in page
    assert visits.as_(getattr(company, who)).get("/connect/light/desk/").status_code == 404


def test_each_program_and_place_has_its_own_steps(company: Company, desk: Client) -> None:
    del desk
    browser, claude_code = visits.as_(company.alice), recipes.find("claude-code")
    for where in recipes.Where:
        page = _show(browser, agent=company.bot.slug, where=where)
        assert page.count('<pre class="wrap" id="step-') == len(claude_code.steps_at(where))
    for wrong in ("curl-key", "nothing"):
        assert "claude mcp add" in _show(browser, agent=company.bot.slug, how=wrong, where=wrong)
    page = _show(browser, agent=company.bot.slug, how="inspector", where="ssh")
    assert "ssh -L 6276:localhost:6276 you@remote" in page
    page = _show(browser, agent=company.bot.slug, how="python-sdk")
    assert "tests/conformance/test_recipes.py::" in page


def test_a_client_that_a_program_cannot_use_is_named_with_what_it_needs(company: Company, desk: Client) -> None:
    del desk
    page = _show(visits.as_(company.alice), agent=company.bot.slug, how="vs-code")
    assert "The client desk is not registered for VS Code." in page
    assert "https://vscode.dev/redirect" in page
    assert "mcp.json" not in page, "nothing to copy that cannot work"
    assert "An analyst registers such a client" in page
    page = _show(visits.as_(company.ana), agent=company.bot.slug, how="vs-code")
    assert f"/agents/{company.bot.slug}/clients/add/?for=vs-code" in page


def test_the_form_of_a_new_client_is_filled_in_for_a_program(company: Company) -> None:
    page = visits.text(visits.as_(company.ana).get(f"/agents/{company.bot.slug}/clients/add/?for=vs-code"))
    assert f'value="{company.bot.slug}-vs-code"' in page
    assert "http://127.0.0.1/ https://vscode.dev/redirect</textarea>" in page
    assert 'value="none"' in page.split("checked")[0][-400:]


def test_a_client_with_the_addresses_of_a_program_is_chosen_first(company: Company, desk: Client) -> None:
    del desk
    client, _ = make.client(company.bot, "aaa", auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris="http://127.0.0.1/ https://vscode.dev/redirect")
    assert '"clientId": "aaa"' in _show(visits.as_(company.alice), agent=company.bot.slug, how="vs-code")
    assert "--client-id desk" in _show(visits.as_(company.alice), agent=company.bot.slug)


def test_a_service_agent_is_shown_recipes_with_a_key_alone(company: Company) -> None:
    agent = make.agent(kind="service", sponsor=company.sofia)
    make.grant(agent, make.entitlement(company.system, make.tool(company.system), scope="erp:run"), people=[])
    make.client(agent, "batch")
    page = _show(visits.as_(company.sofia), agent=agent.slug)
    assert "agent.pem" in page
    assert "claude mcp add" not in page
    make.client(agent, "old", auth=Client.Auth.CLIENT_SECRET_BASIC)
    assert "authenticates with a shared secret" in _show(visits.as_(company.sofia), agent=agent.slug, client="old")


def test_a_disabled_system_and_one_that_speaks_no_mcp_are_no_choice(company: Company, desk: Client) -> None:
    del desk
    for changes in ({"status": System.Status.DISABLED}, {"kind": System.Kind.KNOWN}):
        System.objects.filter(pk=company.system.pk).update(**{"status": "active", "kind": "mcp_gateway"} | changes)
        assert "no access to an MCP server yet" in _show(visits.as_(company.alice), agent=company.bot.slug)


def test_all_systems_are_one_more_choice(company: Company, desk: Client, settings: Settings) -> None:
    del desk
    browser, address = visits.as_(company.alice), f"{settings.GATEWAY_URL}/gw/mcp"
    page = _show(browser, agent=company.bot.slug, system=addresses.ALL)
    assert f"--client-id desk mandate {address}" in page
    assert "All systems" in page


def test_the_light_shows_an_employee_their_own_steps_and_a_sponsor_those_of_all(company: Company, desk: Client) -> None:
    with transaction.atomic():
        begun.begin(desk, company.bob, "b" * 64, auth_time=clock.now(), now=clock.now())
    light = f"/connect/light/{desk.client_id}/"
    assert visits.text(visits.as_(company.alice).get(light)).count("not yet") == 3
    assert visits.text(visits.as_(company.sofia).get(light)).count("not yet") == 2


def test_a_person_is_shown_the_client_of_their_own_agent_and_their_own_steps_there(company: Company) -> None:
    client = make.personal_client("laptop", redirect_uris=["http://localhost/callback"])
    agent = personal_agents.connect(client, company.alice).agent
    bobs = personal_agents.connect(client, company.bob).agent
    make.grant(agent, make.entitlement(company.system, make.tool(company.system)), people=[company.alice])
    page = _show(visits.as_(company.alice), agent=agent.slug)
    assert f"--client-id laptop {company.system.slug}" in page
    now = clock.now()
    whose = {"client": client, "agent": bobs, "person": company.bob, "sign_in_sha256": "b" * 64}
    Session.objects.create(started_at=now, last_used_at=now, expires_at=now + timedelta(hours=1), **whose)
    light = "/connect/light/laptop/"
    assert visits.text(visits.as_(company.alice).get(light)).count("not yet") == 3
    assert visits.text(visits.as_(make.analyst()).get(light)).count("not yet") == 2
    assert visits.as_(company.mallory).get(light).status_code == 404
