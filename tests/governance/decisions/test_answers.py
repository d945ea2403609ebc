"""What made a denial true, whether one agent can call a tool, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import pytest

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.agents import agents
from entitlements.catalog import systems, tools
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.decisions import causes, steps
from governance.decisions.pages import answers
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.decisions.test_doors import API, decided, held

pytestmark = pytest.mark.django_db
made_world, company = shared.world(companies.found)


class By(TypedDict):
    """By whom, and why, things change."""

    by: Principal
    reason: str


BY: By = {"by": SYSTEM, "reason": "the yearly review"}
type Change = Callable[[Company, Grant], object]
CHANGES: dict[str, tuple[Change, Action]] = {
    "no_grant": (lambda _, grant: grants.revoke(grant.pk, **BY), Action.GRANT_REVOKED),
    "a tool less": (
        lambda _, grant: grants.reduce(grant.pk, {"convert": {"timezone": {"one_of": ["Europe/Rome"]}}}, **BY),
        Action.GRANT_REDUCED,
    ),
    "grant_suspended": (lambda _, grant: grants.suspend(grant.pk, **BY), Action.GRANT_SUSPENDED),
    "agent_suspended": (lambda company, _: agents.suspend(company.bot, **BY), Action.AGENT_SUSPENDED),
    "agent_retired": (lambda company, _: agents.retire(company.bot, **BY), Action.AGENT_RETIRED),
    "system_disabled": (lambda company, _: systems.disable_system(company.system, **BY), Action.SYSTEM_DISABLED),
    "sponsor_disabled": (lambda company, _: people.disable(company.sofia, **BY), Action.PERSON_DISABLED),
    "client_disabled": (lambda *_: clients.disable(Client.objects.get(), **BY), Action.CLIENT_DISABLED),
    "tool_quarantined": (
        lambda company, _: tools.quarantine(company.system.tools.get(name="now"), **BY),
        Action.TOOL_QUARANTINED,
    ),
    "tool_disabled": (
        lambda company, _: tools.disable_tool(company.system.tools.get(name="now"), **BY),
        Action.TOOL_DISABLED,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_denial_names_the_newest_event_before_it_that_made_it_true(company: Company, name: str) -> None:
    change, action = CHANGES[name]
    grant = held(company)
    change(company, grant)
    event = decided(company, "now")
    assert event.code == ("no_grant" if name == "a tool less" else name)
    cause = client.of(company.ana).get(f"{API}/why?evaluation={event.uuid}").json()["cause"]
    assert Event.objects.get(uuid=cause).action == action
    page = visits.text(visits.as_(company.ana).get(f"/decisions/why/?evaluation={event.uuid}"))
    assert f"/audit/?about=event:{cause}" in page
    assert "the yearly review" in page


def test_what_another_tool_lost_and_what_came_later_made_nothing_true(company: Company) -> None:
    grant, zones = held(company), {"convert": {"timezone": {"one_of": ["Europe/Paris", "Europe/Rome"]}}}
    grants.reduce(grant.pk, {"remove": {}, **zones}, **BY)
    denied = decided(company, "convert", timezone="Mars")
    unheard = decided(company, "unheard")
    agents.suspend(company.bot, **BY)
    for event, code in {denied: "argument_outside_limit", unheard: "unknown_tool"}.items():
        why = client.of(company.ana).get(f"{API}/why?evaluation={event.uuid}").json()
        assert (why["code"], why["cause"]) == (code, None)
    grants.revoke(grant.pk, **BY)  # which had lost the tool before
    lost = Event.objects.get(action=Action.GRANT_REDUCED)
    about = {"agent": ["research-bot"], "system": ["clock"], "tool": ["clock/now"], "person": ["alice"]}
    assert causes.find(Code.NO_GRANT, about, clock.now()) == lost


def test_a_cause_that_the_reader_may_not_read_is_not_shown(company: Company) -> None:
    held(company)
    systems.disable_system(company.system, **BY)
    event = decided(company, "now")
    address = f"{API}/why?evaluation={event.uuid}"
    seen = {login: client.of(company.named(login)).get(address).json()["cause"] for login in ("ana", "sam", "alice")}
    assert (seen["ana"], seen["alice"]) == (seen["sam"], None)
    page = visits.text(visits.as_(company.alice).get(f"/decisions/why/?evaluation={event.uuid}"))
    assert "disabled the system" not in page


def test_a_missing_right_leads_to_a_request_that_knows_the_call(company: Company) -> None:
    make.client(company.bot, "desk")
    event = decided(company, "now")
    page = visits.text(visits.as_(company.otto).get(f"/decisions/why/?evaluation={event.uuid}"))
    wanted = f"/requests/new/?agent=research-bot&system=clock&tool=now&denied_call={event.uuid}"
    assert wanted in page.replace("&amp;", "&")
    grants.revoke(make.grant(company.bot, company.use, people=[company.alice]).pk, **BY)
    for of in ("", "&person=alice"):
        page = visits.text(visits.as_(company.ana).get(f"/decisions/who-can/?tool=clock/now&agent=research-bot{of}"))
        assert ("revoked access" in page, "Request access" in page) == (True, True)


def test_whether_an_agent_can_call_a_tool_is_one_sentence_now_and_then(company: Company) -> None:
    grant, before = held(company), clock.now()
    ana, browser = client.of(company.ana), visits.as_(company.ana)
    asked = {"tool": "clock/now", "agent": "research-bot"}

    def said(**more: str) -> tuple[bool, str]:
        answer = ana.get(f"{API}/who-can", asked | more).json()["answer"]
        return answer["can_call"], answer["code"]

    assert said() == said(person="alice") == said(person="bob") == (True, "allowed")
    assert said(person="mona") == (False, "no_grant")
    assert "Yes, research-bot can call now for Bob." in visits.text(
        browser.get("/decisions/who-can/", asked | {"person": "bob"})
    )
    people.disable(company.bob, **BY)
    assert (said(person="bob"), said(person="alice")) == ((False, "person_disabled"), (True, "allowed"))
    grants.revoke(grant.pk, **BY)
    assert (said(), said(at=before.isoformat())) == ((False, "no_grant"), (True, "allowed"))
    page = visits.text(browser.get("/decisions/who-can/", asked))
    assert "No, research-bot cannot call now. No grant covers this." in page
    assert "revoked access" in page
    agents.suspend(company.bot, **BY)
    assert said() == (False, "agent_suspended")
    assert said(at=before.isoformat()) == (True, "allowed")


def test_agent_and_person_narrow_the_list_and_unknown_ones_are_refused(company: Company) -> None:
    held(company)
    other = make.agent("other-bot", sponsor=company.sofia)
    make.grant(other, company.use, people=[company.mona])
    ana = client.of(company.ana)

    def listed(**asked: str) -> list[str]:
        return [row["agent"] for row in ana.get(f"{API}/who-can", asked).json()["results"]]

    for what in ({"tool": "clock/now"}, {"entitlement": "clock:use"}):
        assert sorted(listed(**what)) == ["other-bot", "research-bot"]
        assert listed(**what, agent="other-bot") == listed(**what, person="mona") == ["other-bot"]
        assert listed(**what, person="bob") == ["research-bot"]
        assert listed(**what, agent="other-bot", person="bob") == []
        for name in ("agent", "person"):
            assert ana.get(f"{API}/who-can", {**what, name: "no-such"}).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/decisions/who-can/?tool=clock/now&at=then", 400, "moment_malformed"),
        ("/decisions/who-can/?tool=clock/now&agent=no-such", 404, "unknown_agent"),
        ("/decisions/who-can/?tool=clock/now&person=no-such", 404, "unknown_person"),
        ("/decisions/why/?evaluation=x", 400, "evaluation_malformed"),
        ("/decisions/why/?evaluation=00000000-0000-0000-0000-000000000000", 404, "not_found"),
    ],
)
def test_an_error_keeps_the_page(company: Company, address: str, status: int, code: str) -> None:
    answer = visits.as_(company.ana).get(address)
    page = visits.text(answer)
    assert (answer.status_code, code in page, 'name="agent"' in page) == (status, True, True)


def test_another_event_leads_to_its_page_and_no_event_to_the_question(company: Company) -> None:
    held(company)
    issued = Event.objects.get(action=Action.GRANT_ISSUED)
    ana = visits.as_(company.ana)
    answer = ana.get(f"/decisions/why/?evaluation={issued.uuid}")
    assert answer.headers["Location"] == f"/audit/?about=event%3A{issued.uuid}"
    assert 'name="agent"' in visits.text(ana.get("/decisions/why/"))


def test_the_question_offers_the_newest_denials_that_the_reader_may_read(company: Company) -> None:
    held(company)
    event = decided(company, "convert", timezone="Mars")
    for login, sees in {"ana": True, "alice": True, "mallory": False}.items():
        page = visits.text(visits.as_(company.named(login)).get("/decisions/who-can/"))
        assert (f"/decisions/why/?evaluation={event.uuid}" in page) is sees, login


def test_denied_calls_of_the_audit_log_lead_to_why(company: Company) -> None:
    held(company)
    event = decided(company, "convert", timezone="Mars")
    page = visits.text(visits.as_(company.ana).get("/audit/"))
    assert f'href="/decisions/why/?evaluation={event.uuid}"' in page


def test_each_page_that_helps_is_of_a_rule() -> None:
    assert answers.PAGES.keys() <= {rule.key for rule in steps.RULES}
