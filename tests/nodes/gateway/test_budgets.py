"""Budgets at real nodes: never overspent, at most a tenth refused early, and a reservation that comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget, BudgetUse
from entitlements.delegation import permissions
from entitlements.gateway import answers
from entitlements.keys import act_claim
from entitlements.people.models import Role
from scripts.devservers import free_port
from tests import make, waits
from tests.nodes.gateway import rest_world, scripted, world
from tests.nodes.gateway.authzen import point
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import MODERN, Gateway, World

SCHEMA = {
    "type": "object",
    "properties": {
        "do": {"type": "string"}, "count": {"type": "integer"}, "amount": {}, "currency": {"type": "string"},
        "status": {"type": "integer"},
    },
}  # fmt: skip


@pytest.fixture
def other(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted.upstream() as running:
        yield running


@pytest.fixture
def bot(node: Gateway, upstream: Scripted) -> World:  # noqa: ARG001 - the node must run
    upstream.requests.clear()
    made = world.build(upstream.url, tool="act", schema=SCHEMA)
    made.arguments = {"do": "answer"}
    return made


def budget(what: What, **target: Any) -> Budget:  # noqa: ANN401 - what it is for
    """Set a budget; it holds when the nodes have heard of it, which the change feed sees to."""
    row = budgets.set_budget(what, by=make.person(roles=[Role.ANALYST]), reason="A bound.", **target)
    time.sleep(0.3)
    return row


def calls(amount: int, window: timedelta | None = None) -> What:
    return What("calls", Decimal(amount), window)


def code(answer: httpx2.Response) -> str:
    """Return the code of a denial or of an error; empty for a result."""
    body = answer.json()
    if "error" in body:
        return str(body["error"]["data"]["code"])
    return str(body["result"].get("_meta", {}).get(answers.DENIAL, {}).get("code", ""))


def taken(row: Budget) -> Decimal:
    return BudgetUse.objects.get(budget=row).taken


@dataclass
class Load:
    """Calls at one node, one after another in each of some workers; notes in which order they ended."""

    node: Gateway
    here: World
    token: str
    ended: list[tuple[float, str]] = field(default_factory=list)

    async def run(self, workers: int, each: int) -> None:
        limits = httpx2.Limits(max_connections=workers)
        async with httpx2.AsyncClient(limits=limits, timeout=waits.SECONDS) as http:
            await asyncio.gather(*(self._work(http, each) for _ in range(workers)))

    async def _work(self, http: httpx2.AsyncClient, each: int) -> None:
        headers = {
            "Authorization": f"Bearer {self.token}", "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json", "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call", "Mcp-Name": "act",
        }  # fmt: skip
        params = {"_meta": world.META, "name": "act", "arguments": {"do": "answer"}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        for _ in range(each):
            try:
                answer = await http.post(
                    f"{self.node.base}{answers.path(self.here.system.slug)}", content=body, headers=headers
                )
                self.ended.append((time.monotonic(), code(answer)))
            except httpx2.HTTPError:
                self.ended.append((time.monotonic(), "lost"))
                return


def test_a_budget_shared_by_two_nodes_is_never_overspent_and_what_a_killed_one_held_counts_as_spent(
    node: Gateway, other: Gateway, bot: World, upstream: Scripted
) -> None:
    thousand = budget(calls(1000), agent=bot.agent.slug)
    loads = [Load(each, bot, bot.token()) for each in (node, other)]

    async def both() -> None:
        await asyncio.gather(*(load.run(8, 70) for load in loads))

    asyncio.run(both())
    ended = sorted(entry for load in loads for entry in load.ended)
    assert {each for _, each in ended} == {"", "budget_exhausted"}
    passed = [each for _, each in ended].count("")
    assert passed == len(upstream.calls)
    assert 900 <= passed <= 1000
    assert [each for _, each in ended].index("budget_exhausted") >= 800
    denied = Event.objects.filter(action="call.denied", links__contains=[f"agent:{bot.agent.slug}"])
    assert denied.count() == len(ended) - passed

    row = budget(calls(200), system=bot.system.slug)
    budgets.end(thousand.pk, by=row.set_by, reason="Over.")
    upstream.requests.clear()
    killed, rest = Load(other, bot, bot.token()), Load(node, bot, bot.token())

    async def kill() -> None:
        task = asyncio.create_task(killed.run(4, 100))
        while len(killed.ended) < 30:  # noqa: ASYNC110 - it counts
            await asyncio.sleep(0.005)
        other.child.kill()
        await task
        await rest.run(4, 60)

    asyncio.run(kill())
    assert 160 <= len(upstream.calls) <= 200
    assert rest.ended[-1][1] == "budget_exhausted"
    assert taken(row) == 200


def test_a_window_rolls_over_and_says_when(node: Gateway, bot: World, upstream: Scripted) -> None:
    row = budget(calls(2, timedelta(seconds=3)), grant=bot.grant.pk)
    time.sleep(3 - time.time() % 3)
    found = [node.call(bot) for _ in range(3)]
    assert [code(each) for each in found] == ["", "", "rate_exceeded"]
    assert 1 <= int(found[2].headers["retry-after"]) <= 3
    assert found[2].json()["result"]["_meta"][answers.DENIAL]["retry_after"] == int(found[2].headers["retry-after"])
    time.sleep(int(found[2].headers["retry-after"]) + 0.1)
    assert code(node.call(bot)) == ""
    assert len(upstream.calls) == 3
    denied = Event.objects.get(action="call.denied", links__contains=[f"budget:{row.pk}"])
    assert (denied.code, denied.detail["reasons"][0].partition(":")[0]) == ("rate_exceeded", "rate_exceeded")


def test_a_budget_that_ended_counts_nothing_any_more(node: Gateway, bot: World) -> None:
    row = budget(calls(1), agent=bot.agent.slug)
    assert [code(node.call(bot)) for _ in range(2)] == ["", "budget_exhausted"]
    budgets.end(row.pk, by=make.person(roles=[Role.ANALYST]), reason="Over.")
    time.sleep(0.3)
    assert code(node.call(bot)) == ""


def test_a_call_that_another_rule_denies_takes_nothing(node: Gateway, bot: World) -> None:
    budget(calls(1), agent=bot.agent.slug)
    assert code(node.call(bot, do=7)) == "argument_not_valid"
    assert [code(node.call(bot)) for _ in range(2)] == ["", "budget_exhausted"]


def test_a_call_that_no_system_saw_or_that_it_turned_away_is_given_back(
    node: Gateway, bot: World, upstream: Scripted
) -> None:
    budget(calls(1), agent=bot.agent.slug)
    assert code(node.call(bot, do="status", status=401)) == "upstream_unavailable"
    moved = world.build(f"http://localhost:{free_port()}/mcp", tool="act", schema=SCHEMA)
    budget(calls(1), agent=moved.agent.slug)
    assert [code(node.call(moved, do="answer")) for _ in range(3)] == ["upstream_unavailable"] * 3
    assert [code(node.call(bot)) for _ in range(2)] == ["", "budget_exhausted"]
    assert len(upstream.calls) == 2


def test_a_call_that_may_have_been_carried_out_stays_spent(node: Gateway, bot: World) -> None:
    budget(calls(1), agent=bot.agent.slug)
    assert code(node.call(bot, do="break")) == "upstream_unavailable"
    assert code(node.call(bot)) == "budget_exhausted"


def test_the_strictest_of_several_budgets_counts_and_the_others_get_theirs_back(node: Gateway, bot: World) -> None:
    wide, narrow = budget(calls(10), system=bot.system.slug), budget(calls(2), grant=bot.grant.pk)
    assert [code(node.call(bot)) for _ in range(5)] == ["", "", *["budget_exhausted"] * 3]
    waits.until(lambda: [taken(wide), taken(narrow)] == [Decimal(2), Decimal(2)])


def test_where_the_budget_of_a_grant_is_used_up_the_next_grant_that_covers_the_call_counts(
    node: Gateway, bot: World
) -> None:
    other = make.entitlement(bot.system, bot.tool, scope=f"{bot.entitlement.scope}:too")
    grants = [bot.grant, make.grant(bot.agent, other, people=[bot.person])]
    rows = [budget(calls(each), grant=grant.pk) for each, grant in zip((2, 1), grants, strict=True)]
    token = bot.token(scope=f"{bot.entitlement.scope} {other.scope}")
    found = [node.call(bot, token) for _ in range(4)]
    assert [code(each) for each in found] == ["", "", "", "budget_exhausted"]
    allowed = Event.objects.filter(action="call.allowed", links__contains=[f"agent:{bot.agent.slug}"])
    by = [sum(f"grant:{grant.pk}" in event.links for event in allowed) for grant in grants]
    assert by == [2, 1]
    denied = Event.objects.get(action="call.denied", links__contains=[f"agent:{bot.agent.slug}"])
    assert sum(f"budget:{row.pk}" in denied.links for row in rows) == 1
    whole = budget(calls(1), agent=bot.agent.slug)
    budgets.end(rows[0].pk, by=whole.set_by, reason="Over.")
    time.sleep(0.3)
    assert [code(node.call(bot, token)) for _ in range(2)] == ["", "budget_exhausted"]


def evaluation(here: World, **arguments: object) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": here.person.login},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "act", "properties": {"server": here.system.slug}},
        "context": {"agent": here.agent.slug, "arguments": arguments or {"do": "answer"}},
    }


def test_questions_of_foreign_gateways_are_denied_by_a_budget_and_take_nothing_of_it(node: Gateway, bot: World) -> None:
    asks = point.new(node)
    row = budget(calls(2), agent=bot.agent.slug)
    searched = {**evaluation(bot), "resource": {"type": "tool", "properties": {"server": bot.system.slug}}}

    def ask() -> tuple[bool, str]:
        answer = asks.post("evaluation", evaluation(bot)).json()
        return answer["decision"], answer["context"]["code"]

    assert [ask() for _ in range(4)] == [(True, "allowed")] * 4
    assert taken(row) == 0
    assert code(node.call(bot)) == ""
    assert ask() == (True, "allowed")
    assert [each["id"] for each in asks.search("resource", searched)] == ["act"]
    assert code(node.call(bot)) == ""
    assert ask() == (False, "budget_exhausted")
    assert asks.search("resource", searched) == []
    denied = Event.objects.get(action="evaluation.denied", links__contains=[f"budget:{row.pk}"])
    assert denied.code == "budget_exhausted"
    rate = budget(calls(1, timedelta(hours=1)), agent=bot.agent.slug)
    budgets.end(row.pk, by=row.set_by, reason="Over.")
    time.sleep(0.3)
    assert ask() == (True, "allowed")
    BudgetUse.objects.filter(budget=rate).update(began=clock.now() - timedelta(hours=2), taken=1)
    assert ask() == (True, "allowed"), "the window that is used up is over"
    BudgetUse.objects.filter(budget=rate).update(began=clock.now() - timedelta(seconds=1), taken=1)
    assert ask() == (False, "rate_exceeded")


def test_a_question_about_money_is_decided_by_its_amount(node: Gateway, bot: World) -> None:
    asks = point.new(node)
    what = What("money", Decimal(10), None, f"{bot.system.slug}/act", "amount", "EUR", "currency")
    budget(what, grant=bot.grant.pk)
    found = [
        asks.post("evaluation", evaluation(bot, do="answer", amount=amount, currency="EUR")).json()["context"]["code"]
        for amount in (10, 10.01, "much")
    ]
    assert found == ["allowed", "budget_exhausted", "budget_not_measurable"]


def test_agents_and_grants_behind_in_a_chain_count_too(node: Gateway, bot: World) -> None:
    agent = make.agent()
    client, _ = make.client(agent)
    grant = make.grant(agent, bot.entitlement, people=[bot.person])
    permissions.permit(bot.agent, actor=agent, by=SYSTEM, reason="They work together.")
    last = replace(bot, agent=agent, client=client, grant=grant)
    behind = [(bot.agent.slug, bot.client.client_id)]

    def call() -> str:
        token = last.token(act=act_claim.claim(agent.slug, behind, addresses.issuer(addresses.IDP)))
        return code(node.call(last, token, do="answer"))

    of_agent = budget(calls(1), agent=bot.agent.slug)
    assert [call(), call()] == ["", "budget_exhausted"]
    budgets.end(of_agent.pk, by=of_agent.set_by, reason="Over.")
    budget(calls(1), grant=bot.grant.pk)
    assert [call(), call()] == ["", "budget_exhausted"]


def test_money_is_counted_by_its_argument_in_its_currency(node: Gateway, bot: World, upstream: Scripted) -> None:
    tool = f"{bot.system.slug}/act"
    what = What("money", Decimal("99.50"), None, tool, "amount", "EUR", "currency")
    budget(what, agent=bot.agent.slug)

    def pay(amount: object, currency: str = "EUR") -> str:
        return code(node.call(bot, do="answer", amount=amount, currency=currency))

    assert pay("60.25") == ""
    assert pay(39.26) == "budget_exhausted"
    assert pay(39.25) == ""
    assert pay("0.0001") == "budget_exhausted"
    assert pay(0) == ""
    assert [pay(-5), pay("ten"), pay(1, "USD")] == ["budget_not_measurable"] * 3
    assert code(node.call(bot, do="answer")) == "budget_not_measurable"
    assert len(upstream.calls) == 3


def test_no_answer_of_more_bytes_than_are_reserved_is_passed_on(node: Gateway, bot: World, upstream: Scripted) -> None:
    row = budget(What("bytes", Decimal(3000), largest_answer=Decimal(2000)), agent=bot.agent.slug)
    sizes: list[int] = []

    def fill(count: int) -> str:
        answer = node.call(bot, do="fill", count=count)
        found = code(answer)
        if not found:
            sizes.append(len(answer.content))
        return found

    assert fill(500) == ""
    waits.until(lambda: taken(row) == sizes[0])
    assert fill(2000) == "answer_over_budget"
    waits.until(lambda: taken(row) == sizes[0] + 2000)
    assert fill(10) == ""
    assert fill(1000) == "answer_over_budget"
    assert fill(10) == "budget_exhausted"
    assert sum(sizes) <= 3000
    assert len(upstream.calls) == 4
    ended = Event.objects.filter(action="call.finished", links__contains=[f"agent:{bot.agent.slug}"])
    assert [each.code for each in ended.order_by("at", "sequence")].count("answer_over_budget") == 2


def test_rows_are_counted_in_the_named_array_of_the_answer(node: Gateway, bot: World) -> None:
    what = What("rows", Decimal(10), None, f"{bot.system.slug}/act", "page.rows", largest_answer=Decimal(6))
    row = budget(what, grant=bot.grant.pk)

    def rows(count: int) -> str:
        return code(node.call(bot, do="rows", count=count))

    assert rows(4) == ""
    waits.until(lambda: taken(row) == 4)
    assert rows(7) == "answer_over_budget"
    assert rows(0) == "budget_exhausted"


def test_an_answer_without_the_array_is_not_passed_on(node: Gateway, bot: World) -> None:
    what = What("rows", Decimal(10), None, f"{bot.system.slug}/act", "page.rows", largest_answer=Decimal(6))
    budget(what, grant=bot.grant.pk)
    assert code(node.call(bot)) == "answer_over_budget"


def test_over_rest_the_same_budgets_count_and_answer_429(node: Gateway) -> None:
    with rest_world.service() as service:
        here = rest_world.build(service.url)
        tool = f"{here.system.slug}/list_orders"
        budget(What("rows", Decimal(3), None, tool, "result", largest_answer=Decimal(2)), system=here.system.slug)
        budget(calls(4, timedelta(hours=1)), grant=here.grant.pk)
        found = [rest_world.ask(node, here, "GET", "/orders") for _ in range(4)]
        assert [each.status_code for each in found] == [200, 200, 200, 429]
        assert found[3].json()["code"] == "budget_exhausted"
        assert "retry-after" not in found[3].headers
        assert rest_world.ask(node, here, "GET", "/orders/1").status_code == 200
        refused = rest_world.ask(node, here, "GET", "/orders/1")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        assert len(service.seen) == 4
