"""What one floor asks of the floor above: without an answer nothing passes, and no process starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest
from django.core.checks import Tags, run_checks

from audit.context import SYSTEM
from audit.models import Event
from entitlements import hooks
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents import agents
from entitlements.catalog import actions
from entitlements.catalog.api import tools
from entitlements.clients import clients
from entitlements.gateway.access_requests import requester
from entitlements.gateway.access_requests.requester import Ask, Requester
from entitlements.grants import grants
from entitlements.people import erasure, people
from entitlements.proposals import actions as proposal_actions
from entitlements.revocation import revocation
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from governance.requests import requests
from tests import make
from tests.architecture import tree
from tests.entitlements.edge.worlds import key_set, new_key
from tests.governance import companies

type Act = Callable[[], object]


def _grant() -> Act:
    entitlement = make.entitlement(make.system())
    return lambda: make.grant(of=entitlement)


def _scopes() -> Act:
    agent = make.agent()
    return lambda: make.client(agent, auth="none", api_scopes=["mandate:read"])


def _restored_grant() -> Act:
    stopped = grants.suspend(make.grant().pk, by=SYSTEM, reason="x")
    return lambda: grants.restore(stopped.pk, by=make.analyst().principal, reason="x")


def _restored_agent() -> Act:
    stopped = agents.suspend(make.agent(), by=SYSTEM, reason="x")
    return lambda: agents.restore(stopped, by=make.analyst().principal, reason="x")


def _enabled_client() -> Act:
    stopped = clients.disable(make.client(make.agent(), auth="none")[0], by=SYSTEM, reason="x")
    return lambda: clients.enable(stopped, by=make.analyst().principal, reason="x")


def _classed() -> Act:
    tool = make.tool(make.system())
    said = {"reason": "", "accept": "", "sha256": "", "sentence": "", "action": "read", "risk": "low"}
    return lambda: actions.approve(tool, **tools.approval_of(tool, said), by=_caller())


def _proposed() -> Act:
    waiting = make.lower_class(make.tool(make.system(), risk="high"), by=make.analyst())
    second = make.security()
    return lambda: proposal_actions.CONFIRM.run(waiting.pk, by=Caller(second.principal, second))


def _requested() -> Act:
    company = companies.found()
    return lambda: make.request(company.use, company.bot, by=company.alice, people=[company.alice])


def _issuer(purpose: str) -> TrustedIssuer:
    return trust.begin("https://ci.example", purpose=purpose, jwks=key_set(new_key("ci")), by=SYSTEM)


def _ended_issuer() -> Act:
    issuer = _issuer("workload")
    return lambda: trust.end(issuer, by=SYSTEM, reason="x")


def _workload_rule() -> Act:
    issuer, agent = _issuer("workload"), make.agent()
    client, _ = make.client(agent)
    asks = partial(workload_rules.propose, client, issuer=issuer.issuer, platform="jwt", claims={"sub": "job"})
    return lambda: asks(by=agent.sponsor.principal)


def _revocation() -> Act:
    target, by = revocation.Target("agent", make.agent().slug), make.analyst().principal
    return lambda: revocation.revoke(target, by=by, reason="odd", wait=False)


def _caller() -> Caller:
    person = make.person()
    return Caller(person.principal, person)


GUARDS: dict[str, Callable[[], Act]] = {
    "grant tools": _grant,
    "scopes of a client": _scopes,
    "restore a grant": _restored_grant,
    "restore an agent": _restored_agent,
    "enable a client": _enabled_client,
    "class a tool": _classed,
    "confirm a proposal": _proposed,
    "erase a person": lambda: lambda: erasure.ERASE.ask(make.person()),
    "see grants": lambda: lambda: visibility.grants(_caller()),
    "see events": lambda: lambda: visibility.events(_caller(), Event.objects.all()),
    "after a request is submitted": _requested,
    "end an issuer": _ended_issuer,
    "put a workload rule in force": _workload_rule,
    "take a ticket reference": _revocation,
    "answer request_access": lambda: lambda: requester.ANSWER.ask(Requester("bot", "desk", "alice"), [], Ask()),
}
FOLLOWED_BY_A_SWEEP = {"after a person is disabled"}


def test_every_hook_is_answered_by_the_floor_above() -> None:
    assert {hook.name for hook in hooks.DECLARED} == GUARDS.keys() | FOLLOWED_BY_A_SWEEP
    assert all(hook.needed for hook in hooks.DECLARED)
    assert hooks.missing() == []
    hooks.require_all()


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "prepare"), GUARDS.items(), ids=GUARDS)
def test_what_asks_is_refused_while_an_answer_is_missing(
    name: str, prepare: Callable[[], Act], monkeypatch: pytest.MonkeyPatch
) -> None:
    act = prepare()
    hook = next(each for each in hooks.DECLARED if each.name == name)
    monkeypatch.setattr(hook, "_answers", {})
    with pytest.raises(hooks.GuardMissing) as refused:
        act()
    assert refused.value.detail == {"hook": name}


@pytest.mark.django_db
def test_a_person_is_shut_out_even_while_nothing_follows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people.WHEN_DISABLED, "_answers", {})
    assert not people.disable(make.person(), by=SYSTEM, reason="x").is_active


def test_the_system_check_names_a_missing_answer_and_the_servers_refuse_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "mandate.E015" not in {message.id for message in run_checks(tags=[Tags.security])}
    monkeypatch.setattr(requests.WHEN_SUBMITTED, "_answers", {})
    found = [message for message in run_checks(tags=[Tags.security]) if message.id == "mandate.E015"]
    assert [message.level >= 40 and "after a request is submitted: rules" in message.msg for message in found] == [True]
    with pytest.raises(hooks.GuardMissing, match="after a request is submitted: rules"):
        hooks.require_all()


def test_a_server_without_a_guard_does_not_start() -> None:
    program = """
from entitlements import hooks
hooks.Hook.register = lambda *_: None
for server in ("wsgi", "asgi"):
    try:
        __import__(f"governance.{server}")
    except hooks.GuardMissing as refused:
        print(refused)
"""
    started = [sys.executable, "-c", program]
    ended = subprocess.run(started, cwd=tree.ROOT, capture_output=True, text=True, check=True)
    told = ended.stdout.splitlines()
    assert [line.startswith("These checks are not installed: ") for line in told] == [True, True]
