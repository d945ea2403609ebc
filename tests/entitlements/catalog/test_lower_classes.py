"""Two people lower the class of a tool: one proposes, another confirms, and the higher one counts until then."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.context import Principal
from audit.models import Event
from entitlements.catalog import class_proposals, discovery, tools
from entitlements.catalog.errors import ToolInWrongState
from entitlements.catalog.models import System, Tool
from entitlements.definitions import classes, tool_class
from entitlements.errors import Forbidden
from entitlements.people.models import Person, Role
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from tests import make

pytestmark = pytest.mark.django_db

HIGH: dict[str, Any] = {"action": "delete", "risk": "critical", "data_class": "restricted", "egress_external": True}
LOW: dict[str, Any] = {"action": "read", "risk": "low", "data_class": "public", "egress_external": False}


@pytest.fixture
def sam() -> Person:
    return make.person("sam")


@pytest.fixture
def system(sam: Person) -> System:
    return make.system("clock", owner=sam, upstream_url="https://clock.example.com/mcp")


@pytest.fixture
def wipe(system: System) -> Tool:
    return make.tool(system, "wipe", **HIGH)


def again(tool: Tool) -> Tool:
    return Tool.objects.select_related("system", "seen", "approved").get(pk=tool.pk)


def approval(tool: Tool, **fields: Any) -> tools.Approval:  # noqa: ANN401 - of the class
    """Return an approval of a tool as it is offered now, with this class."""
    tool = again(tool)
    assert tool.seen is not None
    values = {name: fields.get(name, getattr(tool, name)) for name in tool_class.FIELDS}
    flows = {flow: values.pop(flow) for flow in classes.FLOWS}
    return tools.Approval(tool, tool.seen.sha256, "Does it.", flows=flows, **values)


def approve(tool: Tool, *, by: Person, **fields: Any) -> Tool:  # noqa: ANN401 - of the class
    return tools.approve_tool(approval(tool, **fields), by=by.principal, reason="as it is")


def waits() -> Proposal:
    return Proposal.objects.get(state="proposed")


def steps(tool: Tool) -> list[str]:
    rows = Event.objects.filter(links__contains=[class_proposals.subject(tool)], action__startswith="proposal.")
    return [event.action.removeprefix("proposal.") for event in rows.order_by("at")]


@pytest.mark.parametrize("field", LOW)
def test_each_field_keeps_its_higher_value_until_a_second_person_confirms(field: str, wipe: Tool, sam: Person) -> None:
    approved = approve(wipe, by=sam, **{field: LOW[field]})
    assert getattr(approved, field) == getattr(again(wipe), field) == HIGH[field]
    assert waits().terms["to"] == tool_class.of(wipe).as_json() | {field: LOW[field]}

    proposals.confirm(waits().pk, by=make.security())
    assert getattr(again(wipe), field) == LOW[field]
    assert steps(wipe) == ["proposed", "confirmed"]


def test_what_is_raised_counts_at_once_and_replaces_the_proposal(wipe: Tool, sam: Person) -> None:
    assert approve(wipe, by=sam, risk="low", action="execute").action == "execute"
    approve(wipe, by=sam, action="execute")
    assert again(wipe).risk == "critical"
    assert (Proposal.objects.get().state, steps(wipe)) == ("replaced", ["proposed", "replaced"])


def test_the_same_proposal_again_changes_and_records_nothing(wipe: Tool, sam: Person) -> None:
    for _ in range(2):
        approve(wipe, by=sam, risk="low")
    assert steps(wipe) == ["proposed"]


@pytest.mark.parametrize("roles", [(), (Role.ANALYST,), (Role.AUDITOR,)])
def test_only_an_admin_or_a_security_approver_confirms(roles: tuple[Role, ...], wipe: Tool, sam: Person) -> None:
    approve(wipe, by=sam, risk="low")
    with pytest.raises(Forbidden):
        proposals.confirm(waits().pk, by=make.person(roles=list(roles)))


def test_no_account_of_the_proposer_confirms_and_one_admin_alone_waits(wipe: Tool) -> None:
    ada, other = (make.person(login, roles=[Role.ADMIN]) for login in ("ada", "ada2"))
    Person.objects.filter(pk=other.pk).update(email="ada+two@example.org")
    other.refresh_from_db()
    approve(wipe, by=ada, risk="low")
    for account in (ada, other):
        with pytest.raises(proposals.ProposedByOwnAccount):
            proposals.confirm(waits().pk, by=account)
        with pytest.raises(IntegrityError), transaction.atomic():
            Proposal.objects.update(state="confirmed", confirmed_by=account, ended_at=waits().proposed_at)
    assert again(wipe).risk == "critical"


def test_who_registered_a_script_confirms_nothing_that_it_proposed(wipe: Tool) -> None:
    rita = make.security("rita")
    script, _secret = make.client(make.agent(sponsor=rita))
    tools.approve_tool(approval(wipe, risk="low"), by=Principal("client", script.client_id))
    with pytest.raises(proposals.ProposedByOwnAccount):
        proposals.confirm(waits().pk, by=rita)


def test_it_is_withdrawn_with_a_reason_and_answered_once(wipe: Tool, sam: Person) -> None:
    approve(wipe, by=sam, risk="low")
    row = proposals.withdraw(waits().pk, by=make.security(), reason="it wipes")
    assert (row.state, steps(wipe)) == ("withdrawn", ["proposed", "withdrawn"])
    with pytest.raises(proposals.ProposalOver):
        proposals.confirm(row.pk, by=make.security())


def test_a_proposal_that_is_over_is_not_rewritten(wipe: Tool, sam: Person) -> None:
    approve(wipe, by=sam, risk="low")
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.update(terms={})
    proposals.confirm(waits().pk, by=make.security())
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.update(end_reason="else")


def test_it_is_confirmed_only_while_the_tool_is_as_it_was_proposed(wipe: Tool, sam: Person) -> None:
    approve(wipe, by=sam, risk="low")
    tools.quarantine(wipe, by=sam.principal, reason="odd")
    with pytest.raises(ToolInWrongState):
        proposals.confirm(waits().pk, by=make.security())


@pytest.mark.parametrize("field", LOW)
def test_the_database_refuses_a_lower_class_that_nobody_confirmed(field: str, wipe: Tool) -> None:
    with pytest.raises(IntegrityError, match="two people"), transaction.atomic():
        Tool.objects.filter(pk=wipe.pk).update(**{field: LOW[field]})


def test_undecided_counts_as_yes_from_high_risk_on_and_not_below(system: System, sam: Person) -> None:
    grave, mild = make.tool(system, "grave", risk="high"), make.tool(system, "mild", risk="medium")
    assert approve(grave, by=sam, reads_private=False).reads_private is None
    assert waits().terms["to"]["reads_private"] is False
    assert approve(mild, by=sam, reads_private=False).reads_private is False
    with pytest.raises(IntegrityError), transaction.atomic():
        Tool.objects.filter(pk=grave.pk).update(reads_private=False)


def test_a_data_class_of_other_words_waits_too(wipe: Tool, sam: Person) -> None:
    assert approve(wipe, by=sam, data_class="secret-ish").data_class == "restricted"
    assert waits().terms["to"]["data_class"] == "secret-ish"


def see(system: System, **definition: Any) -> Tool:  # noqa: ANN401 - of the definition
    discovery.record_discovery(system, [{"inputSchema": {"type": "object"}, **definition}], by=make.analyst().principal)
    return Tool.objects.select_related("seen", "system").get(system=system, name=definition["name"])


def test_a_new_tool_is_served_as_the_rules_propose_until_two_people_agree_on_less(system: System, sam: Person) -> None:
    pay = see(system, name="send_payment", description="Sends a payment.")
    assert pay.risk == "critical"
    approved = approve(pay, by=sam, **LOW)
    assert (approved.state, approved.risk, approved.data_class) == ("approved", "critical", "restricted")
    proposals.confirm(waits().pk, by=make.security())
    assert (again(pay).risk, again(pay).data_class) == ("low", "public")
    approve(pay, by=sam)
    assert not Proposal.objects.filter(state="proposed").exists(), "the definition is the one that they agreed on"


def test_a_new_tool_at_or_above_what_the_rules_propose_waits_for_nobody(system: System, sam: Person) -> None:
    tool = see(system, name="get_time", description="Tells the time.")
    assert approve(tool, by=sam, risk="high", data_class="restricted", reads_private=False).risk == "high"
    assert not Proposal.objects.exists()


def test_a_new_definition_begins_at_what_the_rules_propose_for_it(system: System, sam: Person) -> None:
    tool = see(system, name="get_time", description="Tells the time.")
    approve(tool, by=sam)
    see(system, name="get_time", description="Deletes all users and their passwords permanently.")
    asked = {"action": "read", "risk": "low"}
    assert approve(tool, by=sam, **asked).action == "delete"
    assert waits().terms["to"] | asked == waits().terms["to"]


def test_the_same_upstream_registered_again_begins_at_the_class_it_has(wipe: Tool, sam: Person) -> None:
    copy = make.system("copy", owner=sam, upstream_url="https://CLOCK.example.com:443/mcp/?again")
    twin = see(copy, name="wipe", description="Tells the time.")
    assert tool_class.of(approve(twin, by=sam, **LOW)).as_json() | HIGH == tool_class.of(again(twin)).as_json()
    elsewhere = make.system("elsewhere", owner=sam, upstream_url="https://alias.example.net/mcp")
    assert wipe.approved is not None
    same = see(elsewhere, **wipe.approved.definition)
    assert approve(same, by=sam, **LOW).risk == "critical"
