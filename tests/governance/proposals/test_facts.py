"""What one person proposes waits in the queue of all who may confirm it, and they are told; whatever its kind."""

from __future__ import annotations

import inspect
from typing import Final

import pytest

from audit import log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.client_documents import hosts
from entitlements.people import erasure, people
from entitlements.people.models import Person, Role
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from entitlements.proposals.models import TwoPersonProposal as Lasting
from governance.chat import facts
from governance.console.matrix_rows import API
from governance.home_page.queries import queue
from governance.notices import listener
from governance.notices.models import Kind, Notice
from governance.notices.notifiers import NOTIFIERS
from governance.proposals import facts as changes
from tests import make, shared
from tests.attacks.test_proposer_gone import KINDS, WHY
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
made_world, company = shared.world(companies.found)
TOLD_OTHERWISE: Final = {
    Action.AGENT_OWNERSHIP_PROPOSED: "to the person proposed",
    Action.CLIENT_CREDENTIAL_PROPOSED: "to the people responsible for the agent",
    Action.SYSTEM_OPENING_PROPOSED: "as what is wrong after a restore",
}
CONFIRM: Final = {
    "Approval policy": "policy-proposal-confirm",
    "Auto-approval rule": "auto-approval-rule-confirm",
    "Credential policy": "credential-policy-proposal-confirm",
    "Erasure of personal data": "change-proposal-confirm",
    "Group mapping": "group-mapping-confirm",
    "Guardrail": "guardrail-confirm",
    "Host of clients": "client-host-confirm",
    "Local server": "stdio-command-confirm",
    "Lower class of a tool": "change-proposal-confirm",
    "Network of a system": "system-network-confirm",
    "Response to risk signals": "signal-response-confirm",
    "Session policy": "session-policy-confirm",
    "SoD policy": "sod-policy-publish",
    "Trusted issuer": "trusted-issuer-confirm",
}
"""The row of the API's matrix that says who confirms a kind."""


def test_each_kind_of_proposal_stands_in_the_table() -> None:
    assert {kind.event for kind in changes.KINDS} | TOLD_OTHERWISE.keys() == {
        action for action in Action if action.endswith("proposed")
    }
    assert set(Lasting.__subclasses__()) <= {kind.model for kind in changes.KINDS}
    assert len(changes.KINDS) == len(KINDS)
    assert sum(kind.model is Proposal for kind in changes.KINDS) == len(proposals.KINDS)
    confirmed_by = {kind.model: set(kind.roles) for kind in changes.KINDS}
    for _propose, confirm, _role in KINDS.values():
        if (lasting := getattr(confirm, "__self__", None)) and lasting.confirmers:
            assert set(lasting.confirmers) == confirmed_by[lasting.model]
    assert NOTIFIERS.keys() >= {kind.event for kind in changes.KINDS} | TOLD_OTHERWISE.keys()


@pytest.mark.parametrize("kind", changes.KINDS, ids=lambda kind: kind.label)
def test_a_kind_waits_for_the_roles_that_the_api_lets_confirm_it(kind: changes.Kind) -> None:
    row = API[CONFIRM[kind.label], "POST"]
    assert bool(row.related) == bool(kind.offices)
    assert row.roles == (set() if kind.offices else set(kind.roles))


def rows(person: Person) -> list[str]:
    return [waits.what for waits in changes.for_person(callers.of(person), person, queue.MOST)]


def told() -> dict[str, str]:
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    found = Notice.objects.filter(kind=Kind.CHANGE_WAITING).select_related("person")
    return {notice.person.login: notice.sentence for notice in found}


@pytest.mark.parametrize("kind", KINDS)
def test_it_waits_for_all_who_may_confirm_it_until_one_does(company: Company, kind: str) -> None:
    propose, confirm, role = KINDS[kind]
    proposer, second = (
        make.person("first", roles=[role, "security"]),
        make.person("second", roles=["security", "analyst"]),
    )
    again, admin = make.person("again", roles=["security", "admin"]), make.person("admin", roles=["admin"])
    Person.objects.filter(pk=again.pk).update(email=proposer.email.replace("@", "+again@"))
    again.refresh_from_db()
    row = propose(proposer, company)

    (what,) = rows(second)
    assert [rows(proposer), rows(again)] == [[], []], "no account of the person who proposed it"
    known = told()
    assert known.keys() & {"first", "again", "bob"} == set()
    assert known["second"] == f"A change waits for a second person: {what}, proposed by {proposer.name}."
    for person in (admin, *Person.objects.all()):
        assert (person.login in known) == (rows(person) == [what]), person.login

    home = visits.as_(second).get("/", secure=True)
    notice = Notice.objects.get(person=second, kind=Kind.CHANGE_WAITING)
    assert what in visits.text(home)
    assert visits.as_(second).get(notice.url, secure=True).status_code == 200
    assert (facts.about(notice).names[0], facts.about(notice).waits) == (("Change", what), True)

    confirm(row.pk, by=second, **({"reason": WHY} if "reason" in inspect.signature(confirm).parameters else {}))

    assert rows(admin) == []
    assert facts.about(notice).waits is False
    assert len(told()) == len(known), "no one is told twice"


def test_a_host_for_an_agent_waits_for_the_people_of_the_agent(company: Company) -> None:
    security, analyst = make.security(), make.analyst()
    hosts.propose("clients.example", agent=company.bot, serves="own_agent", by=analyst, reason=WHY)
    assert rows(security) == []
    assert rows(company.sofia) == rows(company.otto) == ["Host of clients: clients.example"]
    assert told().keys() == {"sofia", "otto"}


def test_a_mapping_of_a_role_waits_for_people_who_hold_it(company: Company) -> None:
    propose, _confirm, _role = KINDS["a group mapping"]
    propose(make.person("ada", roles=[Role.ADMIN]), company)
    holds, lacks = make.analyst(), make.security()
    assert [rows(holds), rows(lacks)] == [["Group mapping: audit"], []]
    assert told().keys() == {holds.login, "ana"}


def test_a_script_of_theirs_makes_no_second_person(company: Company) -> None:
    behind, other = make.person("behind", roles=[Role.ADMIN]), make.person("other", roles=[Role.ADMIN])
    log.record(Action.CLIENT_REGISTERED, about=["client:cleaner"], by=behind.principal)
    bob = people.disable(company.bob, by=SYSTEM, reason="left")
    erasure.propose(bob, by=Principal("client", "cleaner"), reason=WHY)
    assert [rows(behind), rows(other)] == [[], ["Erasure of personal data: bob"]]
    assert {"other"} <= told().keys() <= {"other", "resa", "rob"}


def test_a_person_who_left_is_not_told(company: Company) -> None:
    gone = make.person("gone", roles=[Role.ADMIN, Role.SECURITY])
    people.disable(gone, by=SYSTEM, reason="left")
    KINDS["a guardrail"][0](make.security(), company)
    assert "gone" not in told()
