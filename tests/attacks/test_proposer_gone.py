"""A proposal of a person who left, or lost the right to make it, is confirmed by no one, whatever its kind."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.client_documents import hosts
from entitlements.conflicts.independence import ProposerGone
from entitlements.definitions import classes
from entitlements.errors import DomainError
from entitlements.networks import networks
from entitlements.people import erasure, people, role_maps
from entitlements.people.models import Person
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal, TwoPersonProposal
from entitlements.risk import response_policy
from entitlements.session_policies import proposals as session_policies
from entitlements.stdio_commands import proposals as stdio_commands
from entitlements.trusted_issuers import proposals as trusted_issuers
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.approval_policies import policies as approval_policies
from governance.approval_policies.rules import DEFAULT_POLICY
from governance.approvals import auto_approval
from governance.credential_policy import policy_proposals as credential_policy
from governance.guardrails import proposals as guardrails
from governance.sod import policies as sod
from tests import make, shared
from tests.architecture import tree
from tests.entitlements.api import client
from tests.entitlements.trusted_issuers.test_proposals import PINNED
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.credential_policy.test_policy_proposals import DAYS

pytestmark = pytest.mark.django_db

WHY: Final = "They asked for it."
FLOWS: Final = dict.fromkeys(classes.FLOWS, False)
made_world, company = shared.world(companies.found)

OWN: Final = ("proposed_by_own_account", "self_confirmation")
type Propose = Callable[[Person, Company], Any]


def of_class(by: Person, company: Company) -> Proposal:
    tool = company.system.tools.get(name="wipe")
    assert tool.seen is not None
    answer = client.of(by).post(
        "/api/v1/tools/clock/wipe/approve",
        {"sha256": tool.seen.sha256, "sentence": "x", "action": "read", "risk": "low", "data_class": "public", **FLOWS},
    )
    assert answer.status_code == 200, answer.json()
    return Proposal.objects.get()


def of_erasure(by: Person, company: Company) -> Proposal:
    return erasure.propose(people.disable(company.bob, by=SYSTEM, reason="left"), by=by.principal, reason=WHY)


def of_rule(by: Person, company: Company) -> object:
    ends = clock.now() + timedelta(days=3)
    terms: dict[str, Any] = {"longest": timedelta(days=1), "kinds": ["shared"], "expires_at": ends}
    return auto_approval.propose(company.use, by=by, reason=WHY, **terms)


def of_policy(by: Person, _company: Company) -> object:
    return approval_policies.propose(None, DEFAULT_POLICY, by=by, reason=WHY)


def of_ages(by: Person, _company: Company) -> object:
    return credential_policy.propose(DAYS, overlap_hours=48, stops_upstream_secrets=True, by=by, reason=WHY)


def of_combination(by: Person, _company: Company) -> object:
    sides = [{"tools": ["now"]}, {"tools": ["wipe"]}]
    return sod.propose("pair", sentence="x", sides=sides, by=by, reason=WHY)


def of_guardrail(by: Person, _company: Company) -> object:
    return guardrails.propose("Shut", effect="forbid", mode="observe", when={"risk": "high"}, by=by, reason=WHY)


def of_group(by: Person, _company: Company) -> object:
    issuer = TrustedIssuer.objects.create(issuer="https://login.example.org", purpose="identity", jwks={"keys": []})
    return role_maps.propose(issuer, "groups", "audit", "analyst", by=by, reason=WHY)


def of_session(by: Person, _company: Company) -> object:
    hours = timedelta(hours=1)
    return session_policies.propose("all", by=by, reason=WHY, idle=hours, absolute=hours)


def of_command(by: Person, _company: Company) -> object:
    terms = {"folder": "/opt/clock", "argv": ["/usr/bin/env"], "digest": "0" * 64}
    return stdio_commands.propose("clock", by=by, reason=WHY, **terms)


def of_response(by: Person, _company: Company) -> object:
    return response_policy.propose("session_revoked", response="suspend", mode="enforce", by=by, reason=WHY)


def of_issuer(by: Person, _company: Company) -> object:
    return trusted_issuers.propose("https://partner.example", by=by, purpose="id_jag", jwks=PINNED, reason=WHY)


def of_network(by: Person, company: Company) -> object:
    return networks.propose(company.system, prefixes=["10.20.0.0/16"], by=by, reason=WHY)


def of_host(by: Person, _company: Company) -> object:
    return hosts.propose("clients.example", agent=None, serves="personal_agents", by=by, reason=WHY)


KINDS: Final[dict[str, tuple[Propose, Callable[..., object], str]]] = {
    "a tool's class": (of_class, proposals.confirm, "analyst"),
    "an erasure": (of_erasure, proposals.confirm, "analyst"),
    "an auto-approval rule": (of_rule, auto_approval.KIND.confirm, "analyst"),
    "an approval policy": (of_policy, approval_policies.KIND.confirm, "security"),
    "ages of credentials": (of_ages, credential_policy.KIND.confirm, "security"),
    "an SoD policy": (of_combination, sod.KIND.confirm, "analyst"),
    "a guardrail": (of_guardrail, guardrails.KIND.confirm, "security"),
    "a group mapping": (of_group, role_maps.KIND.confirm, "analyst"),
    "a session policy": (of_session, session_policies.KIND.confirm, "analyst"),
    "a local server": (of_command, stdio_commands.KIND.confirm, "analyst"),
    "a response to signals": (of_response, response_policy.KIND.confirm, "analyst"),
    "an issuer": (of_issuer, trusted_issuers.KIND.confirm, "analyst"),
    "a network": (of_network, networks.KIND.confirm, "analyst"),
    "a host of clients": (of_host, hosts.KIND.confirm, "analyst"),
}
"""Of each kind: what proposes it, what confirms it, and the role of who proposes."""


@pytest.mark.parametrize("kind", KINDS)
def test_another_person_confirms_while_the_proposer_still_could_propose(company: Company, kind: str) -> None:
    propose, confirm, role = KINDS[kind]
    row = propose(proposer := make.person("first", roles=[role]), company)
    also = {"reason": WHY} if "reason" in inspect.signature(confirm).parameters else {}
    by, again = (make.person(login, roles=["admin", "security", "analyst"]) for login in ("second", "again"))

    Person.objects.filter(pk=again.pk).update(email=proposer.email.replace("@", "+again@").upper())
    with pytest.raises(DomainError) as own:
        confirm(row.pk, by=Person.objects.get(pk=again.pk), **also)
    assert own.value.code.removesuffix("_of_rule").endswith(OWN)

    proposer.roles.all().delete()
    with pytest.raises(ProposerGone):
        confirm(row.pk, by=by, **also)
    people.assign_role(proposer, role, by=SYSTEM, reason="Given back.")
    people.disable(proposer, by=SYSTEM, reason="left")
    with pytest.raises(ProposerGone) as gone:
        confirm(row.pk, by=by, **also)
    gone.value.end()
    row.refresh_from_db()
    assert getattr(row, "state", "withdrawn") == "withdrawn"
    assert getattr(row, "ended_at", True) is not None
    why = "Who proposed it has left or lost the right to."
    assert [event.actor for event in Event.objects.all() if event.reason == why] == [str(by.principal)]


def test_each_kind_asks_the_one_rule() -> None:
    """What confirms a proposal of another person stands in the table above."""
    confirms = [confirm for _propose, confirm, _role in KINDS.values()]
    assert sum(confirm is proposals.confirm for confirm in confirms) == len(proposals.KINDS)
    kinds: list[Any] = [confirm.__self__ for confirm in confirms if hasattr(confirm, "__self__")]
    assert {kind.model for kind in kinds} == set(TwoPersonProposal.__subclasses__())
    listed = {confirm.__module__ for confirm in confirms}
    asks = {
        path
        for path in tree.files()
        if path.suffix == ".py" and re.search(r"check_second\(|\.second\(", path.read_text())
    }
    names = {".".join(path.relative_to(tree.ROOT).with_suffix("").parts) for path in asks}
    ours = {name for name in names if name.startswith(("entitlements.", "governance."))}
    assert ours - {"entitlements.conflicts.independence"} == listed


def test_the_api_answers_with_the_code_and_the_proposal_is_over(company: Company) -> None:
    row: Any = of_session(proposer := make.analyst(), company)
    people.disable(proposer, by=SYSTEM, reason="left")
    answer = client.proven(make.security()).post(f"/api/v1/session-policies/{row.pk}/confirm", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "proposer_gone")
    row.refresh_from_db()
    assert row.state == "withdrawn"
