"""Who can call a tool, now and at past moments: held against brute force through the decision function."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from audit import clock
from entitlements.access import caller as callers
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget, BudgetUse
from entitlements.catalog.models import Tool
from governance.decisions.queries import who_can
from tests import make, seeds
from tests.governance.decisions import fleets
from tests.governance.decisions.fleets import Fleet, Reached

pytestmark = pytest.mark.django_db


def said(fleet: Fleet, moment: datetime | None) -> dict[str, Reached]:
    """Return the same as `fleets.reached`, as the list says it."""
    ana = callers.of(make.analyst())
    answer: dict[str, Reached] = {}
    for tool in Tool.objects.filter(system=fleet.system).select_related("system"):
        answer[tool.name] = set()
        for access in who_can.describe(list(who_can.rows(ana, tool, moment)), tool, moment):
            assert not access.unknown
            if access.is_callable:
                served = access.served or {None}
                answer[tool.name] |= {(access.grant.agent.slug, person) for person in served}
    return answer


def said_of_entitlements(fleet: Fleet, moment: datetime | None) -> dict[str, Reached]:
    """Return the same, put together from what the list says of each entitlement."""
    ana = callers.of(make.analyst())
    answer: dict[str, Reached] = {tool.name: set() for tool in fleet.tools}
    for entitlement in fleet.entitlements:
        for access in who_can.describe_all(list(who_can.rows_of(ana, entitlement, moment)), moment):
            assert access.is_callable == any(each.is_callable for each in access.tools)
            for each in access.tools:
                if each.is_callable:
                    served = each.served or {None}
                    answer[each.tool] |= {(each.grant.agent.slug, person) for person in served}
    return answer


@pytest.mark.parametrize("part", range(seeds.cases(30, short=3)))
def test_it_agrees_with_brute_force_now_and_at_each_past_moment(part: int) -> None:
    fleet = fleets.found(seeds.chance(part))
    past: list[tuple[datetime, dict[str, Reached]]] = []
    while len(past) < 10 or sum(len(reached[tool.name]) for _, reached in past for tool in fleet.tools) <= 40:
        assert len(past) < 100
        past.append((clock.now(), fleets.reached(fleet)))
        for _step in range(3):
            fleet.step()
    assert said(fleet, None) == said_of_entitlements(fleet, None) == fleets.reached(fleet)
    for number, (moment, reached) in enumerate(past):
        assert said(fleet, moment) == reached, (number, fleet.done[-40:])
        if number % 3 == 0:
            assert said_of_entitlements(fleet, moment) == reached, (number, fleet.done[-40:])


def test_what_a_budget_that_is_used_up_denies_now_is_denied_and_the_rest_is_not() -> None:
    system, person = make.system(), make.person()
    one, two = make.tool(system, "one"), make.tool(system, "two")
    grant = make.grant(of=make.entitlement(system, one, two), people=[person])
    other = make.grant(of=make.entitlement(system, one, scope="other:one"), people=[person])
    for each in (grant, other):
        make.client(each.agent)
    ana = callers.of(make.analyst())

    def codes(tool: Tool) -> dict[str, str]:
        rows = list(who_can.rows(ana, tool))
        return {str(each.grant.pk): each.verdict.code.value for each in who_can.describe(rows, tool)}

    def use_up(taken: int, **target: object) -> Budget:
        row = budgets.set_budget(What("calls", Decimal(2)), by=make.analyst(), reason="A bound.", **target)  # type: ignore[arg-type]
        BudgetUse.objects.filter(budget=row).update(taken=taken)
        return row

    use_up(1, agent=grant.agent.slug)
    row = use_up(2, grant=grant.pk)
    assert codes(one) == {str(grant.pk): "budget_exhausted", str(other.pk): "allowed"}
    (shown,) = who_can.describe_all(list(who_can.rows_of(ana, grant.entitlement)))
    assert {each.tool: each.verdict.code.value for each in shown.tools} == dict.fromkeys(
        ["one", "two"], "budget_exhausted"
    )
    assert codes(two) == {str(grant.pk): "budget_exhausted"}
    budgets.end(row.pk, by=make.analyst(), reason="Over.")
    assert set(codes(one).values()) == {"allowed"}
    use_up(2, agent=other.agent.slug)
    assert codes(one) == {str(grant.pk): "allowed", str(other.pk): "budget_exhausted"}
    use_up(2, system=system.slug)
    assert set(codes(one).values()) == {"budget_exhausted"}
    assert BudgetUse.objects.filter(taken__gt=2).count() == 0
