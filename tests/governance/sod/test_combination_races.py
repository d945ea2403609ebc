"""Two halves of a combination, given in the same moment: one of them is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.errors import DomainError
from governance.sod import agent_calls, check, policies
from tests import make, shared

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = shared.race_rounds(4)


def at_once(*verbs: Callable[[], object]) -> list[str]:
    """Run the verbs in the same moment, each with a connection of its own; say "done" or the code of each refusal."""
    start = threading.Barrier(len(verbs))

    def run(verb: Callable[[], object]) -> str:
        try:
            start.wait()
            verb()
        except DomainError as refusal:
            return refusal.code
        finally:
            connections.close_all()
        return "done"

    with ThreadPoolExecutor(len(verbs)) as pool:
        return sorted(pool.map(run, verbs))


def rule() -> None:
    sides = [{"tools": ["see"]}, {"tools": ["pay"]}]
    proposed = policies.propose("pair", sentence="x", sides=sides, by=make.analyst(), reason="a test")
    policies.KIND.confirm(proposed.pk, by=make.security(), reason="seen")


def test_two_grants_at_once_do_not_complete_a_combination() -> None:
    system = make.system()
    see, pay = (make.entitlement(system, make.tool(system, name)) for name in ("see", "pay"))
    rule()
    for _ in range(ROUNDS):
        agent = make.agent()
        answers = at_once(lambda a=agent: make.grant(a, see), lambda a=agent: make.grant(a, pay))  # type: ignore[misc]
        assert answers == ["done", "sod_policy_violated"]
        assert check.current_violations(agent) == []


def test_a_grant_and_a_call_at_once_do_not_complete_a_combination() -> None:
    system = make.system()
    see, pay = (make.entitlement(system, make.tool(system, name)) for name in ("see", "pay"))
    rule()
    for _ in range(ROUNDS):
        caller, callee = make.agent(), make.agent()
        make.grant(caller, see)
        answers = at_once(
            lambda a=callee: make.grant(a, pay),  # type: ignore[misc]
            lambda a=caller, b=callee: agent_calls.allow(a, b, by=SYSTEM, reason="hands work on"),  # type: ignore[misc]
        )
        assert answers == ["done", "sod_policy_violated"]
        assert check.current_violations(Agent.objects.get(pk=caller.pk)) == []
