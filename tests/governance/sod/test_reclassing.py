"""Whoever classes a tool otherwise is told first which agents would then hold what nobody may hold together."""

from __future__ import annotations

from typing import Any

import pytest

from audit.export import timeline
from entitlements.catalog.models import Tool
from entitlements.definitions import classes
from entitlements.people.models import Person
from governance.sod import agent_calls, check, exceptions, policies
from governance.sod.models import SodPolicy
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.sod.test_combinations import excepted

pytestmark = pytest.mark.django_db
PAGE = "/systems/clock/tools/remove/"


def _company() -> Company:
    """Make the company, whose agent holds every tool of the clock."""
    company = companies.found()
    make.grant(company.bot, company.use)
    return company


made_world, company = shared.world(_company)


def rule(company: Company, **second: list[str]) -> SodPolicy:
    """Put in force that nobody tells the time and has what the second side says."""
    proposed = policies.propose(
        "pair", sentence="Tells the time and deletes.", sides=[{"tools": ["now"]}, second], on=True, by=company.ana,
        reason="a test",
    )  # fmt: skip
    return policies.KIND.confirm(proposed.pk, by=company.resa, reason="seen")


def form(action: str = "delete", **more: str) -> dict[str, str]:
    tool = Tool.objects.select_related("seen").get(name="remove")
    assert tool.seen is not None
    told = {"sentence": "Removes.", "action": action, "risk": "high", "data_class": "restricted"}
    return {"verb": "approve", "system": "clock", "tool": "remove", "sha256": tool.seen.sha256, **told, **more}


def action() -> str:
    return Tool.objects.get(name="remove").action


@pytest.mark.parametrize("page", [PAGE, "/tool-changes/", "/systems/clock/triage/"])
def test_it_names_the_agents_first_and_does_it_once_that_is_known(company: Company, page: str) -> None:
    rule(company, actions=["delete"])
    ana, was = visits.as_(company.ana), action()
    first = ana.post(page, form())
    assert (first.status_code, action()) == (409, was)
    assert "reclassification_violates_sod_policy" in visits.text(first)
    assert ana.post(page, form(combinations="known")).status_code == 409
    accept = by_rest(company.ana, many=False)["facts"]["accept"]
    assert (page == PAGE) == (f'name="combinations" value="{accept}"' in visits.text(first))
    assert ana.post(page, form(combinations=accept)).status_code == 302
    assert action() == "delete"
    assert ana.post(page, form()).status_code == 302, "they hold it already: there is nothing to warn of"


def test_the_page_keeps_what_was_filled_in_and_says_which_agents_and_tools(company: Company) -> None:
    rule(company, actions=["delete"])
    page = visits.text(visits.as_(company.ana).post(PAGE, form(egress_external="yes", reason="Looked closely.")))
    for part in ('href="/agents/research-bot/"', "Tells the time and deletes.", "clock/remove", "Looked closely."):
        assert part in page
    assert '<option value="delete" selected' in page
    assert "<option selected>restricted" in page
    assert page.count('<option value="yes" selected>') == 1


def test_what_completes_nothing_is_approved_at_once(company: Company) -> None:
    rule(company, actions=["execute"])
    assert visits.as_(company.ana).post(PAGE, form()).status_code == 302


def test_an_agent_with_an_exception_is_not_warned_of(company: Company) -> None:
    published = rule(company, actions=["delete"])
    tool = Tool.objects.select_related("system").get(name="remove")
    tool.action = "delete"
    assert [each.agent for each in check.violations_by_classification(tool)] == [company.bot]
    given = excepted(published, company.bot, company.rob)
    assert check.violations_by_classification(tool) == []
    exceptions.end(given.pk, by=company.rob, reason="over")
    assert len(check.violations_by_classification(tool)) == 1


def test_it_counts_agents_that_the_person_does_not_see(company: Company) -> None:
    rule(company, actions=["delete"])
    caller = make.agent("caller-bot")
    agent_calls.allow(caller, company.bot, by=company.ana.principal, reason="It hands work over.")
    page = visits.text(visits.as_(company.sam).post(PAGE, form()))
    assert ("caller-bot" in page, "1 agent that you do not see" in page) == (False, True)
    assert "<li>research-bot: Tells the time and deletes." in page
    assert "<code>clock/now</code>" not in page, "what else an agent holds is for who sees the agent"
    assert [event.outcome for event in timeline.about("tool:clock/remove")][:1] == ["refused"]


def by_rest(person: Person, *, many: bool, accept: str = "") -> dict[str, Any]:
    """Approve over REST, alone or in a list; return the problem, or the new state."""
    said = {name: value for name, value in form().items() if name not in ("verb", "system", "tool")}
    body = said | ({"accept": accept} if accept else {})
    if not many:
        answer: dict[str, Any] = api.of(person).post("/api/v1/tools/clock/remove/approve", body, format="json").json()
        return answer
    body |= {"system": "clock", "name": "remove", **dict.fromkeys(classes.FLOWS, "false")}
    answer = api.of(person).post("/api/v1/tools/approve", {"items": [body]}, format="json").json()
    (found,) = answer["results"]
    return dict(found)


@pytest.mark.parametrize("many", [False, True])
def test_rest_says_the_same_and_approves_what_was_accepted_alone(company: Company, many: bool) -> None:  # noqa: FBT001
    rule(company, actions=["delete"])
    was = action()

    refused = by_rest(company.ana, many=many)

    assert (refused["code"], action()) == ("reclassification_violates_sod_policy", was)
    facts = refused["facts"]
    assert [(each["agent"], each["sides"]) for each in facts["completed"]] == [
        ("research-bot", [["clock/now"], ["clock/remove"]])
    ]
    make.grant(make.agent("late-bot"), company.use)
    late = by_rest(company.ana, many=many, accept=facts["accept"])
    assert (late["code"], len(late["facts"]["completed"]), action()) == ("reclassification_violates_sod_policy", 2, was)
    assert by_rest(company.ana, many=many, accept=late["facts"]["accept"])["state"] == "approved"
    assert action() == "delete"


def test_rest_counts_agents_that_the_caller_does_not_see(company: Company) -> None:
    rule(company, actions=["delete"])
    agent_calls.allow(make.agent("caller-bot"), company.bot, by=company.ana.principal, reason="It hands work over.")

    facts = by_rest(company.sam, many=False)["facts"]

    assert [(each["agent"], each["sides"]) for each in facts["completed"]] == [("research-bot", [])]
    assert facts["others"] == 1
