"""A system's owner alone gets a critical tool: lowers its class, answers the waiting request, calls, sets it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from django.contrib import admin

from entitlements.catalog import discovery, move, tools
from entitlements.catalog.models import Tool
from entitlements.catalog_files import imports
from entitlements.definitions import classes, tool_class
from entitlements.people.models import Person
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from governance.approvals import approvals
from governance.approvals import rules as approval_rules
from governance.request_changes import edit
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.sod import check
from governance.sod import policies as sod
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company, waiting
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

HIGH: Final[dict[str, Any]] = {
    "action": "execute",
    "risk": "critical",
    "data_class": "restricted",
    **dict.fromkeys(classes.FLOWS, True),
}
LOW: Final = {"action": "read", "risk": "low", "data_class": "public"}
NO: Final = dict.fromkeys(classes.FLOWS, False)


def _company() -> Company:
    """Make the company, whose wipe is as dangerous as a tool can be."""
    company = companies.found()
    Tool.objects.filter(name="wipe").update(**HIGH)
    return company


made_world, company = shared.world(_company)


def wipe() -> Tool:
    return Tool.objects.select_related("system", "seen", "approved").get(name="wipe", system__slug="clock")


def body(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - of the body
    seen = wipe().seen
    return {"sha256": seen.sha256 if seen else "", "sentence": "Tells the time.", **LOW, **NO, **more}


def by_verb(sam: Person) -> None:
    asked = body(tool=wipe())
    tools.approve_tool(
        tools.Approval(flows={name: asked.pop(name) for name in NO}, **asked), by=sam.principal, reason="harmless"
    )


def by_api(sam: Person) -> None:
    assert client.of(sam).post("/api/v1/tools/clock/wipe/approve", body()).status_code == 200


def in_bulk(sam: Person) -> None:
    item = body(system="clock", name="wipe")
    assert client.of(sam).post("/api/v1/tools/approve", {"items": [item]}).json()["results"][0]["status"] == 200


def on_a_page(sam: Person, page: str) -> None:
    form = {name: "no" if value is False else value for name, value in body().items()}
    answer = visits.as_(sam).post(page, {"verb": "approve", "system": "clock", "tool": "wipe", **form})
    assert answer.status_code == 302


def by_catalogue_file(sam: Person) -> None:
    wanted = {"systems": {"clock": {"tools": {"wipe": body()}}}}
    plan = client.of(sam).post("/api/v1/catalog/plan", wanted).json()
    applied = client.proven(sam).post("/api/v1/catalog/apply", {**wanted, "plan": plan["plan"], "reason": "as in git"})
    assert applied.json()["applied"], applied.json()
    again = client.of(sam).post("/api/v1/catalog/plan", wanted).json()
    assert (again["steps"], again["unready"][0]["code"]) == ([], "second_person_required")


def mild(name: str = "wipe") -> dict[str, Any]:
    return {"name": name, "description": "Gets the time.", "inputSchema": {"type": "object"}}


def by_discovery(sam: Person) -> None:
    discovery.record_discovery(wipe().system, [mild()], by=sam.principal)
    by_verb(sam)


def after_quarantine(sam: Person) -> None:
    tools.quarantine(wipe(), by=sam.principal, reason="looks odd")
    by_verb(sam)


def by_import(sam: Person) -> None:
    content = json.dumps([{"name": "clock", "tools": [mild()]}]).encode()
    looked = imports.preview(content, file_name="all.json", owner=sam, by=sam.principal)
    imports.confirm(looked, by=sam.principal)
    by_verb(sam)


def by_move(sam: Person) -> None:
    system = wipe().system
    definition = wipe().approved.definition  # type: ignore[union-attr]
    move.quarantine_all(system, by=sam.principal, reason="moved")
    discovery.record_discovery(system, [definition], by=sam.principal)
    assert [tool.name for tool in move.approve_unchanged(system, by=sam.principal, reason="as it was")] == ["wipe"]
    by_verb(sam)


def by_removal(sam: Person) -> None:
    discovery.record_discovery(wipe().system, [], by=sam.principal)
    by_discovery(sam)


def by_admin_page(sam: Person) -> None:
    registered = admin.site._registry[Tool]
    assert not registered.has_change_permission(None)  # type: ignore[arg-type]
    assert visits.as_(sam).post(f"/admin/entitlements/tool/{wipe().pk}/change/", LOW).status_code in (302, 403, 404)
    by_verb(sam)


WRITERS: Final[dict[str, Callable[[Person], None]]] = {
    "the verb": by_verb,
    "the API": by_api,
    "the API, many at once": in_bulk,
    "the page of the tool": lambda sam: on_a_page(sam, "/systems/clock/tools/wipe/"),
    "the triage of the system": lambda sam: on_a_page(sam, "/systems/clock/triage/"),
    "the page of changed tools": lambda sam: on_a_page(sam, "/tool-changes/"),
    "a catalogue file": by_catalogue_file,
    "an import": by_import,
    "a discovery of a milder definition": by_discovery,
    "a tool that was gone and is back": by_removal,
    "quarantine and another approval": after_quarantine,
    "a move to another address": by_move,
    "the Django admin": by_admin_page,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_lowers_the_class_or_takes_the_second_approver_away(company: Company, writer: str) -> None:
    request = company.ask("wipe")
    before = waiting(request)
    assert before == {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa", "rob"]}

    WRITERS[writer](company.sam)
    assert tool_class.of(wipe()).as_json() == HIGH
    assert Proposal.objects.get(state="proposed").terms["to"] == LOW | NO

    approve_all(request, company.sam, company.sofia)
    assert waiting(request) == {"security": before["security"]}
    assert AccessRequest.objects.get().state == "in_approval"


def approve_all(request: AccessRequest, *people: Person) -> None:
    for person in people:
        if any(person.login in logins for logins in waiting(request).values()):
            approvals.approve(request.pk, by=person)


def confirm(company: Company) -> None:
    proposals.confirm(Proposal.objects.get(state="proposed").pk, by=company.rob)


def test_a_waiting_request_keeps_the_highest_class_after_the_second_person_confirmed(company: Company) -> None:
    request = company.ask("wipe")
    by_verb(company.sam)
    confirm(company)
    assert wipe().risk == "low"

    approve_all(request, company.sofia, company.sam)
    assert set(waiting(request)) == {"security"}
    narrowed = requests.kept_lines(request)["wipe"].tool
    assert tool_class.of(narrowed).as_json() == HIGH
    approvals.approve(request.pk, by=company.resa)
    assert AccessRequest.objects.get(pk=request.pk).state == "approved"
    assert set(waiting(company.ask("wipe", people=[company.bob]))) == {"sponsor"}, "what is asked for later follows it"


def test_a_class_that_was_raised_and_lowered_since_a_request_routes_it(company: Company) -> None:
    request = company.ask("now")
    now = Tool.objects.get(name="now")
    make.approve(now, by=company.sam, risk="critical")
    make.approve(now, by=company.sam, risk="low")
    with pytest.raises(approval_rules.RiskierThanAsked):
        approvals.approve(request.pk, by=company.sofia)


def test_an_edit_of_the_request_does_not_forget_the_class(company: Company) -> None:
    request = company.ask("wipe")
    by_verb(company.sam)
    confirm(company)
    edit.edit(request.pk, edit.Change(lasts=timedelta(days=1)), by=company.otto)
    assert "security" in waiting(request)


def test_flow_labels_that_fell_since_still_complete_a_violation(company: Company) -> None:
    egress = [{"tools": ["now"]}, {"flows": ["egress_external"]}]
    proposed = sod.propose("trifecta", sentence="x", sides=egress, on=True, by=company.ana, reason="a test")
    sod.KIND.confirm(proposed.pk, by=company.resa, reason="seen")
    request = company.ask("now", "wipe")
    make.approve(wipe(), by=company.sam, egress_external=False)
    assert wipe().egress_external is False
    assert check.violations_of_request(request)
    with pytest.raises(check.SodPolicyViolated):
        approvals.approve(request.pk, by=company.sofia)


def test_confirming_a_lower_class_that_completes_a_violation_is_accepted_first(company: Company) -> None:
    make.grant(company.bot, company.use)
    reads = [{"tools": ["convert"]}, {"tools": ["wipe"], "data_classes": ["public"]}]
    proposed = sod.propose("pair", sentence="x", sides=reads, on=True, by=company.ana, reason="a test")
    sod.KIND.confirm(proposed.pk, by=company.resa, reason="seen")
    by_verb(company.sam)
    resa, address = client.proven(company.resa), f"/api/v1/change-proposals/{Proposal.objects.get().pk}/confirm"
    refused = resa.post(address, {}).json()
    assert refused["code"] == "reclassification_violates_sod_policy"
    assert resa.post(address, {"accept": refused["facts"]["accept"]}).json()["state"] == "confirmed"


def test_the_second_person_confirms_or_withdraws_on_the_page_of_the_tool(company: Company) -> None:
    by_verb(company.sam)
    row = Proposal.objects.get()
    for page in ("/systems/clock/tools/wipe/", "/systems/clock/", "/change-proposals/"):
        own, other = (visits.text(visits.as_(person).get(page)) for person in (company.sam, company.resa))
        assert ("Wait for a second person" in own, 'value="confirm"' in own, 'value="confirm"' in other) == (
            *(True, False, True),
        ), page
    answer = visits.as_(company.resa).post(f"/change-proposals/{row.pk}/", {"verb": "confirm", "next": "/tools/"})
    assert (answer.status_code, answer["Location"], wipe().risk) == (302, "/tools/", "low")


def test_who_sees_nothing_of_the_tool_sees_no_proposal(company: Company) -> None:
    by_verb(company.sam)
    found = {
        who: len(client.of(company.named(who)).get("/api/v1/change-proposals").json()["results"])
        for who in ("sam", "resa", "ana", "mallory")
    }
    assert found == {"sam": 1, "resa": 1, "ana": 1, "mallory": 0}
    shown = client.of(company.sam).get("/api/v1/tools/clock/wipe").json()
    assert shown["proposed_class"]["proposal"] == str(Proposal.objects.get().pk)
    assert (
        client.of(company.sam)
        .post(f"/api/v1/change-proposals/{Proposal.objects.get().pk}/withdraw", {"reason": "x"})
        .status_code
        == 403
    )
