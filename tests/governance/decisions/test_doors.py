"""Decisions explained at the doors: the same answers by API and console, for those who may read them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.catalog import tools
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.guardrails.models import GuardrailProposal
from governance.what_if import what_if
from governance.what_if.models import WhatIf
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
API = "/api/v1/decisions"

made_world, company = shared.world(companies.found)


def held(company: Company) -> Grant:
    make.client(company.bot, "desk")
    return make.grant(company.bot, company.use, people=[company.alice], groups=[make.group(company.bob, slug="team")])


def decided(company: Company, tool: str, **arguments: object) -> Event:
    """Let the decision function decide a call, and record it as the gateway does."""
    known = facts.load(company.bot.slug, company.system.slug, [("alice", True)])
    assert known is not None
    call = Call(company.bot.slug, "desk", "alice", "clock", tool, arguments)
    verdict = policy.decide(call, known, clock.now().timestamp())
    links = [
        "client:desk",
        "system:clock",
        f"tool:clock/{tool}",
        *([f"grant:{verdict.grant}"] if verdict.grant else []),
    ]
    detail: dict[str, object] = {"method": "tools/call", "tool": tool, "arguments": "0" * 64}
    if not verdict.allowed:
        detail |= {"effect": verdict.effect, "reasons": [f"{each.code}: {each.sentence}" for each in verdict.reasons]}
    action, outcome = (Action.CALL_ALLOWED, "success") if verdict.allowed else (Action.CALL_DENIED, "refused")
    code = "" if verdict.allowed else verdict.code.value
    with context.acting(on_behalf_of=Principal("person", "alice")):
        by = company.bot.principal
        return log.record(action, by=by, about=links, outcome=outcome, code=code, detail=detail)


def test_why_says_each_rule_the_grant_of_then_and_what_is_not_known(company: Company) -> None:
    grant = held(company)
    event = decided(company, "now")
    grants.reduce(grant.pk, {"convert": {"timezone": {"one_of": ["Europe/Paris"]}}}, by=SYSTEM, reason="later")
    why = client.of(company.ana).get(f"{API}/why?evaluation={event.uuid}").json()
    assert (why["code"], why["effect"], why["actor"]) == ("allowed", "allow", "agent:research-bot")
    assert {step["outcome"] for step in why["steps"]} == {"passed"}
    assert why["grant"] | {"limits": {}, "is_of_then": True, "state": "active"} == why["grant"]
    assert why["status"] | {"agent:research-bot": "active", "tool:clock/now": "approved"} == why["status"]
    assert {"argument_values", "policy_version"} <= {*why["unknown"]}
    page = visits.text(visits.as_(company.ana).get(f"/decisions/why/?evaluation={event.uuid}"))
    assert "Nothing against it" in page
    assert "which release of the product decided" in page


def test_why_names_the_rule_that_refused_and_no_later_one(company: Company) -> None:
    held(company)
    event = decided(company, "convert", timezone="Mars")
    why = client.of(company.ana).get(f"{API}/why?evaluation={event.uuid}").json()
    said = {step["rule"]: step["outcome"] for step in why["steps"]}
    assert (said["grant"], said["limits"], said["scope"]) == ("passed", "refused", "not_asked")
    assert why["code"] == "argument_outside_limit"
    page = visits.text(visits.as_(company.ana).get(f"/decisions/why/?evaluation={event.uuid}"))
    assert "What spoke against it" in page
    event_page = visits.text(visits.as_(company.ana).get(f"/audit/?about=event:{event.uuid}"))
    assert f"/decisions/why/?evaluation={event.uuid}" in event_page


def test_who_reads_the_event_reads_why_and_nobody_else_does(company: Company) -> None:
    held(company)
    event = decided(company, "now")
    for login, status in {"ana": 200, "otto": 200, "sofia": 200, "sam": 200, "alice": 200, "mallory": 404}.items():
        answer = client.of(company.named(login)).get(f"{API}/why?evaluation={event.uuid}")
        assert answer.status_code == status, login
    ana = client.of(company.ana)
    assert ana.get(f"{API}/why?evaluation=x").json()["code"] == "evaluation_malformed"
    other = Event.objects.filter(action=Action.GRANT_ISSUED)[0]
    assert ana.get(f"{API}/why?evaluation={other.uuid}").json()["code"] == "not_a_decision"
    assert ana.get(f"{API}/why?evaluation={company.use.system.pk:032x}").status_code == 404


def test_who_can_lists_grants_by_pages_now_and_then_for_those_who_see_them(company: Company) -> None:
    grant, before = held(company), clock.now()
    ana = client.of(company.ana)
    (row,) = (first := ana.get(f"{API}/who-can?tool=clock/now").json())["results"]
    assert first["not_reconstructed"] == []
    assert (row["agent"], row["can_call"], row["people"]) == ("research-bot", True, ["alice"])
    assert (row["groups"], row["people_count"], row["active_count"]) == (
        [{"slug": "team", "members": 1, "active": 1}],
        2,
        2,
    )
    grants.revoke(grant.pk, by=SYSTEM, reason="gone")
    assert ana.get(f"{API}/who-can?tool=clock/now").json()["results"] == []
    then = ana.get(f"{API}/who-can", {"tool": "clock/now", "at": before.isoformat()}).json()
    assert [each["can_call"] for each in then["results"]] == [True]
    assert "guardrails" in then["not_reconstructed"]
    assert client.of(company.mallory).get(f"{API}/who-can?tool=clock/now").status_code == 404
    for query, code in {
        "tool=clock": "tool_name_malformed",
        "tool=clock/now&at=then": "moment_malformed",
        "tool=clock/now&at=2999-01-01T00:00:00Z": "moment_malformed",
        "tool=clock/nothing": "not_found",
    }.items():
        assert ana.get(f"{API}/who-can?{query}").json()["code"] == code
    browser = visits.as_(company.ana)
    page = visits.text(
        browser.get("/decisions/who-can/", {"tool": "clock/now", "at": f"{before:%Y-%m-%dT%H:%M:%S.%f}"})
    )
    assert "research-bot" in page
    assert "no record tells more" in page
    assert "Who can call it, now or then" in visits.text(browser.get("/systems/clock/tools/now/"))
    table = visits.text(
        browser.get("/decisions/who-can/", {"tool": "clock/now", "at": before.isoformat(), "export": "csv"})
    )
    assert '"alice","team","2"' in table.replace('"alice","team",2', '"alice","team","2"')


def test_who_can_lists_the_grants_of_an_entitlement_with_each_tool(company: Company) -> None:
    grant, before = held(company), clock.now()
    ana = client.of(company.ana)
    tools.quarantine(grant.lines.get(tool__name="now").tool, by=SYSTEM, reason="changed")
    address = f"{API}/who-can?entitlement=clock:use"
    answer = ana.get(address).json()
    assert (answer["tool"], answer["entitlement"]) == (None, "clock:use")
    (row,) = answer["results"]
    assert {each["tool"]: (each["can_call"], each["code"]) for each in row["tools"]} == {
        **dict.fromkeys(("convert", "remove", "wipe"), (True, "allowed")),
        "now": (False, "tool_quarantined"),
    }
    assert (row["can_call"], row["people_count"]) == (True, 2)
    asked = {"entitlement": "clock:use", "at": before.isoformat()}
    then = ana.get(f"{API}/who-can", asked).json()["results"][0]["tools"]
    assert all(each["can_call"] for each in then)
    assert ana.get(f"{address}&tool=clock/now").json()["code"] == "tool_name_malformed"
    assert ana.get(f"{API}/who-can?entitlement=no:such").status_code == 404
    assert client.of(company.mallory).get(address).status_code == 404
    page = visits.text(visits.as_(company.ana).get("/decisions/who-can/?entitlement=clock:use"))
    assert "convert, remove, wipe" in page
    table = visits.text(visits.as_(company.ana).get("/decisions/who-can/?entitlement=clock:use&export=csv"))
    assert "convert, now, remove, wipe" in table


def test_a_guardrail_and_a_session_policy_are_replayed_from_their_forms_without_a_proposal(company: Company) -> None:
    held(company)
    decided(company, "now")
    resa = visits.as_(company.resa)
    assert "Only replay it over 30 days" in visits.text(resa.get("/guardrails/propose/"))
    form = {
        "name": "No clocks",
        "effect": "forbid",
        "mode": "observe",
        "tool": "clock/now",
        "reason": "x",
        "replay": "30",
    }
    answer = resa.post("/guardrails/propose/", form)
    row = WhatIf.objects.get()
    assert answer.headers["Location"] == f"/decisions/what-if/{row.pk}/"
    assert row.change == {"kind": "guardrail", "name": "No clocks", "effect": "forbid", "when": {"tool": ["clock/now"]}}
    ana = visits.as_(company.ana)
    policy_form = {
        "name": "short",
        "agent_kind": "",
        "risk": "",
        "idle": "10",
        "absolute": "1",
        "max_age": "2",
        "reason": "x",
    }
    answer = ana.post("/settings/session-policies/propose/", {**policy_form, "replay": "30"})
    row = WhatIf.objects.exclude(pk=row.pk).get()
    assert answer.headers["Location"] == f"/decisions/what-if/{row.pk}/"
    assert row.change | {"idle": "PT10M", "absolute": "PT1H", "max_age": "PT2H"} == row.change
    for key in what_if.unfinished():
        while what_if.advance(key):
            pass
    page = visits.text(ana.get("/decisions/what-if/"))
    assert "Guardrail No clocks" in page
    assert "Session policy short" in page
    assert "clock/now" in visits.text(ana.get(f"/decisions/what-if/{WhatIf.objects.get(change__kind='guardrail').pk}/"))
    assert not GuardrailProposal.objects.exists()
    assert resa.post("/guardrails/propose/", {**form, "tool": "clock/none"}).status_code == 422


def test_what_if_is_asked_by_api_or_on_the_page_of_a_grant_and_shows_how_far_it_is(company: Company) -> None:
    grant = held(company)
    decided(company, "now")
    ana = client.of(company.ana)
    change = {"kind": "grant", "grant": str(grant.pk), "revoke": True}
    asked = ana.post(f"{API}/what-if", {"change": change, "days": 2})
    assert asked.status_code == 201
    assert (asked.json()["state"], asked.json()["percent"]) == ("waiting", 0)
    assert Event.objects.filter(action=Action.WHAT_IF_ASKED, links__contains=[f"grant:{grant.pk}"]).count() == 1
    browser = visits.as_(company.ana)
    assert f"/decisions/what-if/grants/{grant.pk}/" in visits.text(browser.get(f"/grants/{grant.pk}/"))
    answer = browser.post(f"/decisions/what-if/grants/{grant.pk}/", {"days": "7", "tool": ["now"], "lasts": ""})
    row = WhatIf.objects.exclude(pk=asked.json()["id"]).get()
    assert answer.headers["Location"] == f"/decisions/what-if/{row.pk}/"
    assert (row.days, row.change["tools"]) == (7, ["now"])
    for key in what_if.unfinished():
        while what_if.advance(key):
            pass
    result = ana.get(f"{API}/what-if/{asked.json()['id']}").json()
    assert (result["state"], result["calls"], result["unknown"]) == ("finished", 1, 1), "the event names no version"
    assert "Recorded calls" in visits.text(browser.get(f"/decisions/what-if/{row.pk}/"))
    assert "Narrow a grant: fewer tools" in visits.text(browser.get("/decisions/what-if/"))
    refused = browser.post(f"/decisions/what-if/grants/{grant.pk}/", {"days": "0", "revoke": "1"})
    assert refused.status_code == 422
    assert client.of(company.otto).post(f"{API}/what-if", {"change": change, "days": 2}).status_code == 403
    assert client.of(company.otto).get(f"{API}/what-if/{row.pk}").status_code == 403


def test_limits_that_loosen_and_an_earlier_end_are_read_from_the_form(company: Company) -> None:
    grant = held(company)
    browser = visits.as_(company.ana)
    hour = str(int(timedelta(hours=1).total_seconds()))
    browser.post(f"/decisions/what-if/grants/{grant.pk}/", {"days": "7", "tool": ["now", "convert"], "lasts": hour})
    row = WhatIf.objects.get()
    assert row.change["ends_at"] < grant.expires_at.isoformat()


def test_words_lead_to_who_can_call_what_they_name(company: Company) -> None:
    browser, here = visits.as_(company.ana), "/decisions/who-can/"
    offered = visits.text(browser.get(here, {"q": "clock"}))
    found = set(re.findall(r'href="/decisions/who-can/([^"]+)"', offered))
    assert {"?tool=clock%2Fnow", "?entitlement=clock%3Ause"} <= found
    for text in ("clock/now", "Clock now", "who can call NOW clock"):
        answer = browser.get(here, {"q": text, "at": "2026-01-01T00:00:00"})
        assert answer["Location"] == f"{here}?tool=clock%2Fnow&at=2026-01-01T00%3A00%3A00", text
    for text in ("payments", "clock/nothing", "%", "_"):
        nothing = browser.get(here, {"q": text})
        assert (nothing.status_code, "has these words" in visits.text(nothing)) == (200, True), text
    unseen = visits.text(visits.as_(company.mallory).get(here, {"q": "clock"}))
    assert "has these words" in unseen
    command = visits.text(browser.get("/search/", {"q": "who can call now"}, headers={"HX-Request": "true"}))
    assert ('href="/decisions/who-can/?tool=clock%2Fnow"' in command, "Who can call now" in command) == (True, True)


@pytest.mark.parametrize("query", ["tool=clock", "tool=clock/nothing", "entitlement=no:such"])
def test_a_name_that_leads_nowhere_keeps_the_page(company: Company, query: str) -> None:
    answer = visits.as_(company.ana).get(f"/decisions/who-can/?{query}")
    assert (answer.status_code, 'id="q"' in visits.text(answer)) == (200, True)
