"""Ways around the rule that somebody else must answer: through an agent, a script, a change of roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.decisions import guardrails
from entitlements.gateway.models import Guardrail
from entitlements.grants import grants
from entitlements.people.models import Person
from governance.approvals import approvals, reroute
from governance.approvals import rules as approval_rules
from governance.approvals.models import Approval
from governance.requests.models import AccessRequest
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits

ETAG = {"If-Match": '"1"'}
pytestmark = pytest.mark.django_db


def asked_by_her_agent(mallory: Person, *, risk: str = "high") -> AccessRequest:
    """Let mallory's agent ask for itself, at a system of hers."""
    system = make.system(owner=mallory)
    entitlement = make.entitlement(system, make.tool(system, risk=risk))
    agent = make.agent(kind=Agent.Kind.SERVICE, owner=mallory)
    return make.request(entitlement, agent, by=agent)


def waits_for(request: AccessRequest) -> set[str]:
    waiting = request.approvals.filter(answer=Approval.Answer.WAITING)
    return set(waiting.values_list("waiting_for__login", flat=True))


def test_whoever_owned_an_agent_when_it_asked_never_answers_for_it() -> None:
    make.security("sec")
    mallory = make.person("mallory")
    request = asked_by_her_agent(mallory)
    assert "mallory" not in waits_for(request)

    make.hand_over(request.agent, "owner", make.person("bob"), by=SYSTEM, reason="she asked to be relieved")

    assert "mallory" not in waits_for(request)
    with pytest.raises(approval_rules.SelfApproval):
        approvals.approve(request.pk, by=mallory)


def test_whoever_asked_does_not_answer_as_the_new_sponsor() -> None:
    make.security("sec")
    mallory = make.person("mallory", roles=["analyst"])
    system = make.system()
    agent = make.agent(kind=Agent.Kind.SERVICE)
    request = make.request(make.entitlement(system), agent, by=mallory)

    make.hand_over(agent, "sponsor", mallory, by=SYSTEM, reason="she asked for it")

    assert "mallory" not in waits_for(request)
    with pytest.raises(approval_rules.SelfApproval):
        approvals.approve(request.pk, by=mallory)


def robot(owner: Person | None = None) -> Agent:
    """Make an agent that acts for nobody."""
    return make.agent(kind=Agent.Kind.SERVICE, owner=owner)


def owns_later(request: AccessRequest, who: Person) -> None:
    """Let somebody become the system's owner after the ask, the way it is done."""
    system = request.entitlement.system
    systems.edit_system(system, owner=who, by=make.analyst("bea").principal, reason="sam moves on")


def test_an_analyst_who_becomes_the_systems_owner_does_not_answer_what_was_asked_before() -> None:
    make.security("sec")
    ana = make.analyst("ana")
    system = make.system(owner=make.person("sam"))
    request = make.request(make.entitlement(system, make.tool(system, risk="high")), robot(), by=make.analyst("asker"))
    patch = client.proven(ana).patch("/api/v1/systems/" + system.slug, {"owner": "ana", "reason": "x"}, headers=ETAG)
    assert (patch.status_code, patch.json()["code"]) == (403, "self_appointment")

    owns_later(request, ana)
    reroute.reroute(request.pk, reason="the owner changed")

    assert "ana" not in waits_for(request)
    with pytest.raises(approval_rules.CameLater):
        approvals.approve(request.pk, by=ana)
    later = make.request(request.entitlement, robot(), by=make.analyst("other"))
    assert "ana" in waits_for(later)


def test_whoever_was_the_systems_owner_does_not_answer_any_longer() -> None:
    make.security("sec")
    system = make.system(owner=(sam := make.person("sam")))
    request = make.request(make.entitlement(system, make.tool(system, risk="high")), robot(), by=make.analyst("asker"))

    owns_later(request, make.person("bob"))

    assert "sam" in waits_for(request)  # until somebody looks
    with pytest.raises(approval_rules.NotAnApprover):
        approvals.approve(request.pk, by=sam)


@pytest.mark.parametrize("office", ["owner", "system's owner", "sponsor"])
def test_the_database_knows_who_held_which_office_when_it_was_asked(office: str) -> None:
    mallory = make.person("mallory")
    agent = robot(owner=mallory if office == "owner" else None)
    request = make.request(make.entitlement(make.system()), agent, by=make.analyst())
    match office:
        case "owner":
            make.hand_over(agent, "owner", make.person("bob"), by=SYSTEM, reason="she asked to be relieved")
        case "sponsor":
            make.hand_over(agent, "sponsor", mallory, by=SYSTEM, reason="she asked for it")
        case _:
            owns_later(request, mallory)

    with pytest.raises(IntegrityError, match=r"cannot approve for that agent|came to an office"):
        request.approvals.update(answer="approved", by=mallory, answered_at=clock.now())


def test_whoever_joins_the_group_after_the_ask_does_not_answer() -> None:
    sofia = make.person("sofia")
    agent = make.agent(sponsor=sofia)
    group = make.group(make.person("alice"))
    request = make.request(make.entitlement(make.system()), agent, by=make.analyst(), groups=[group])
    assert waits_for(request) == {"sofia"}
    group.memberships.create(person=sofia)

    with pytest.raises(approval_rules.BeneficiaryMayNotApprove):
        approvals.approve(request.pk, by=sofia)


@pytest.mark.parametrize("by", [Principal("client", "her-script"), Principal("agent", "her-bot")])
def test_a_script_is_not_the_second_person_who_starts_what_its_owner_stopped(by: Principal) -> None:
    ana, agent = make.analyst("ana"), make.agent("bot")
    agents.suspend(agent, by=ana.principal, reason="odd")

    with pytest.raises(SecondPersonNeeded):
        agents.restore(agent, by=by, reason="it is fine")


def test_a_grant_is_not_restored_by_a_script() -> None:
    grant = make.grant(make.agent("bot"))
    grants.suspend(grant.pk, by=make.analyst("ana").principal, reason="odd")

    with pytest.raises(SecondPersonNeeded):
        grants.restore(grant.pk, by=Principal("client", "x"), reason="it is fine")
    assert grants.restore(grant.pk, by=make.analyst("bea").principal, reason="it is fine").state == "active"


@pytest.mark.parametrize("owner", [True, False], ids=["whoever answers for it", "whoever stopped it"])
def test_an_approval_is_no_way_to_start_a_tool_that_was_stopped(owner: bool) -> None:  # noqa: FBT001 - a row of the table
    ana, sam = make.analyst("ana"), make.person("sam")
    tool = make.tool(make.system("clock", owner=sam), "now")
    tools.disable_tool(tool, by=ana.principal, reason="odd")
    by = sam if owner else ana
    assert tool.seen
    said = {"sha256": tool.seen.sha256, "sentence": "Tells the time.", "action": "read", "risk": "low"}
    item = {**said, "system": "clock", "name": "now"}

    found = [
        client.of(by).post("/api/v1/tools/clock/now/approve", said).json()["code"],
        client.of(by).post("/api/v1/tools/approve", {"items": [item]}).json()["results"][0]["code"],
        visits.as_(by).post("/systems/clock/tools/now/", {**said, "verb": "approve"}).context["problem"].code,
    ]

    assert found == ["tool_in_wrong_state"] * 3
    tool.refresh_from_db()
    assert tool.state == "disabled"
    page = visits.text(visits.as_(by).get("/systems/clock/tools/now/"))
    assert ("Approve this definition" in page, "This tool is suspended." in page) == (False, owner)


def test_nobody_starts_again_what_they_stopped_through_any_verb() -> None:
    ana, bea, agent = make.analyst("ana").principal, make.analyst("bea").principal, make.agent("bot")
    system = make.system()
    tool = make.tool(system)
    grant = make.grant(agent)
    agents.suspend(agent, by=ana, reason="odd")
    tools.disable_tool(tool, by=ana, reason="odd")
    systems.disable_system(system, by=ana, reason="odd")
    grants.suspend(grant.pk, by=ana, reason="odd")
    guardrails.stop_everything(by=ana, reason="odd")

    starts: list[Callable[[Principal], object]] = [
        lambda by: guardrails.restart_everything(by=by, reason="fine"),
        lambda by: agents.restore(agent, by=by, reason="fine"),
        lambda by: tools.enable_tool(tool, by=by, reason="fine"),
        lambda by: systems.enable_system(system, by=by, reason="fine"),
        lambda by: grants.restore(grant.pk, by=by, reason="fine"),
    ]
    for start in starts:
        for by in (ana, Principal("client", "x"), Principal("agent", "bot")):
            with pytest.raises(SecondPersonNeeded):
                start(by)
        start(bea)
    assert not Guardrail.objects.get(name=guardrails.EVERYTHING).on
