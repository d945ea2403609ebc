"""Signals of risk, and policies of sessions, as actions after which the change feed must name whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from audit import clock
from entitlements.agents.models import Agent
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget
from entitlements.catalog.models import System
from entitlements.people.models import Person
from entitlements.policy_domains import domains
from entitlements.policy_domains.models import PolicyDomain
from entitlements.risk import risk
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject, ask_to_sign_in, hold
from entitlements.words import Risk
from tests import make
from tests.entitlements.decoys import planted
from tests.entitlements.risk.worlds import answered
from tests.entitlements.session_policies import agreed


def _signalled(about: RiskSubject) -> object:
    said = risk.NewSignal(Kind.REFRESH_REUSE, Risk.HIGH, "detector:test", "a test", clock.now(), "one")
    return risk.note(about, said)


def _held(about: RiskSubject) -> object:
    said = risk.NewSignal(Kind.IRREVERSIBLE_USE, Risk.LOW, "detector:test", "a test", clock.now(), "two")
    return risk.note(about, said)


def load_domain(*, reason: str) -> PolicyDomain:
    """Put a version of the policy domain of the local server in force, each another one."""
    system = System.objects.get(slug="clock")
    kinds = {f"kind-{PolicyDomain.objects.count()}": {"actions": ["view"]}}
    return domains.load(system, document={"resource_types": kinds}, by=Person.objects.get(login="resa"), reason=reason)


def _budget(**target: Any) -> Budget:  # noqa: ANN401 - what it is for
    return budgets.set_budget(What("calls", Decimal(10)), by=Person.objects.get(login="alice"), reason="test", **target)


def _sign_in_again(about: RiskSubject) -> object:
    return ask_to_sign_in(hold(about), clock.now())


ACTIONS: dict[str, Callable[[Any], object]] = {
    "a signal is noted about an agent": lambda w: _signalled(RiskSubject(agent=w.agent)),
    "a signal is noted about a person": lambda w: _signalled(RiskSubject(person=w.alice)),
    "a signal is noted about a session": lambda w: _signalled(RiskSubject(session=w.session)),
    "a signal holds the calls of an agent": lambda w: _held(RiskSubject(agent=w.agent)),
    "a signal holds the calls for a person": lambda w: _held(RiskSubject(person=w.alice)),
    "a signal holds the calls of a session": lambda w: _held(RiskSubject(session=w.session)),
    "an agent's people are to sign in again": lambda w: _sign_in_again(RiskSubject(agent=w.agent)),
    "a person is to sign in again": lambda w: _sign_in_again(RiskSubject(person=w.alice)),
    "a decoy is planted": lambda w: planted.tool(w.tool, w.agent),
    "a decoy is ended": lambda _: planted.end(),
    "a policy domain is loaded": lambda _: load_domain(reason="another"),
    "a budget of an agent is set": lambda w: _budget(agent=w.agent.slug),
    "a budget of a system is set": lambda w: _budget(system=w.system.slug),
    "a budget of a grant is set": lambda w: _budget(grant=w.grant.pk),
    "a budget is ended": lambda _: budgets.end(
        Budget.objects.get(ended_at=None).pk, by=Person.objects.get(login="alice"), reason="test"
    ),
    "a session policy is confirmed": lambda _: agreed.confirm_waiting(),
    "a session policy is ended": lambda _: agreed.end(),
}


def have_policies() -> None:
    """Have session policies in force and proposed, a decoy, a budget, a policy domain, and calls that are held."""
    load_domain(reason="a test")
    tool = make.tool(System.objects.get(slug="clock"), "tick")
    planted.tool(tool, Agent.objects.get(slug="bot"))
    _budget(agent="bot")
    agreed.one_of_each()
    answered("irreversible_use", "hold")
