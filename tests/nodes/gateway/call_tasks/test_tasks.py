"""Tasks of 2026 behind a node: ids that open for their caller alone, and a decision for each request about them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements import addresses
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.decisions.own_connection import READS, run
from entitlements.gateway.call_tasks import task_ids
from entitlements.grants import grants
from entitlements.keys import session_keys
from entitlements.people.models import Role
from entitlements.secrets import vault
from tests import make, waits
from tests.nodes.gateway import world
from tests.nodes.gateway.call_tasks import desk
from tests.nodes.gateway.call_tasks.desk import Server, ask, call, finished
from tests.nodes.gateway.primitives import desk as rows
from tests.nodes.gateway.world import Gateway, World

TOOLS = ("slow_compute", "wait", "confirm_delete")
CANARY = "canary-secret-of-a-task-7f3a"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with desk.serving() as running:
        yield running


@pytest.fixture(scope="module")
def batch(node: Gateway, server: Server) -> System:  # noqa: ARG001 - the node must run
    return rows.discovered(server.url)


@pytest.fixture
def here(batch: System) -> World:
    return rows.granted(batch, *TOOLS)


def refused(answer: Any) -> tuple[int, str]:  # noqa: ANN401 - of httpx2
    found = answer.json()["error"]
    return found["code"], found["data"]["code"]


def codes(here: World) -> list[str]:
    return [event.code for event in here.events() if event.action == "call.denied"]


def test_a_task_has_an_id_of_ours_and_each_request_about_it_is_decided_and_recorded(
    node: Gateway, here: World, server: Server
) -> None:
    made = call(node, here, "slow_compute", seconds=0, label="a word that no record holds")
    own_id = list(server.tasks())[-1]
    assert made["resultType"] == "task"
    assert made["taskId"] != own_id
    assert made["ttlMs"] == 600_000
    state = finished(node, here, made["taskId"])
    assert (state["resultType"], state["status"], state["taskId"]) == ("complete", "completed", made["taskId"])
    assert state["result"]["content"][0]["text"] == "Computed a word that no record holds."
    assert own_id not in str((made, state))
    assert server.seen()[-1] == f"tasks/get {own_id}"
    waits.until(lambda: here.calls()[-1] == "call.finished")
    first, asked = [event for event in here.events() if event.action == "call.allowed"][:2]
    assert (first.detail["method"], asked.detail["method"]) == ("tools/call", "tasks/get")
    assert (first.detail["arguments"], first.detail["tool"]) == (asked.detail["arguments"], asked.detail["tool"])
    assert f"task:{first.uuid}" in asked.links
    assert "a word that no record holds" not in str([(event.detail, event.links) for event in here.events()])


def test_the_task_ends_at_the_system_when_its_caller_cancels_it(node: Gateway, here: World, server: Server) -> None:
    made = call(node, here, "wait", label="x")
    assert ask(node, here, "tasks/cancel", taskId=made["taskId"]).json()["result"]["resultType"] == "complete"
    waits.until(lambda: list(server.tasks().values())[-1] == "cancelled")
    assert finished(node, here, made["taskId"])["status"] == "cancelled"


def test_a_question_of_a_task_is_answered_by_an_update(node: Gateway, here: World) -> None:
    made = call(node, here, "confirm_delete", filename="a.txt")
    state = finished(node, here, made["taskId"])
    assert (state["status"], list(state["inputRequests"])) == ("input_required", ["confirm"])
    wrong = ask(node, here, "tasks/update", taskId=made["taskId"], inputResponses=[])
    assert refused(wrong) == (-32602, "malformed_call")
    given = {"confirm": {"action": "accept", "content": {}}}
    ask(node, here, "tasks/update", taskId=made["taskId"], inputResponses=given)
    assert finished(node, here, made["taskId"])["result"]["content"][0]["text"] == "Deleted a.txt."


@pytest.mark.parametrize("who", ["another agent", "another client", "another system", "all systems"])
def test_an_id_opens_for_its_caller_at_its_address_alone(
    node: Gateway, here: World, server: Server, batch: System, who: str
) -> None:
    made, slug, other = call(node, here, "wait", label="x"), "", here
    if who == "another agent":
        other = rows.granted(batch, *TOOLS)
    elif who == "another client":
        other = here.with_another_client()
    elif who == "another system":
        tool = make.tool(make.system(f"other-{secrets.token_hex(4)}", upstream_url=server.url), "wait")
        other = replace(here, system=tool.system)
        scope = f"{tool.system.slug}:read"
        make.grant(here.agent, make.entitlement(tool.system, tool, scope=scope), people=[here.person])
    else:
        other, slug = replace(here, system=systems.ensure_all_systems()), addresses.ALL
    before = server.seen()
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        assert refused(ask(node, other, method, taskId=made["taskId"], slug=slug)) == (-32602, "task_unknown")
    assert server.seen() == before
    assert codes(other)[-3:] == ["task_unknown"] * 3


@pytest.mark.parametrize("how", ["changed", "the system's own", "too old", "of a session", "sealed for something else"])
def test_what_is_no_id_of_the_callers_task_reaches_no_system(
    node: Gateway, here: World, server: Server, how: str
) -> None:
    made = call(node, here, "wait", label="x")
    name = forged(made["taskId"], list(server.tasks())[-1], how)
    before = server.seen()
    assert refused(ask(node, here, "tasks/get", taskId=name)) == (-32602, "task_unknown")
    assert server.seen() == before
    assert codes(here) == ["task_unknown"]


def forged(name: str, own_id: str, how: str) -> str:
    """Return another id, of those that a client may send, sealed as a node seals it where it can be."""
    if how == "changed":
        middle = len(name) // 2
        return name[:middle] + ("A" if name[middle] != "A" else "B") + name[middle + 1 :]
    if how == "the system's own":
        return own_id
    task = task_ids._decode(run(session_keys.opened(READS, name, purpose=task_ids.PURPOSE)))
    if how == "too old":
        task = msgspec.structs.replace(task, until=clock.now().timestamp() - 1)
    if how == "of a session":
        task = msgspec.structs.replace(task, session=uuid4())
    purpose = "server-request" if how == "sealed for something else" else task_ids.PURPOSE
    return run(session_keys.sealed(READS, task_ids._encode(task), purpose=purpose))


def test_who_loses_the_right_gets_no_result_and_the_task_is_cancelled(
    node: Gateway, here: World, server: Server
) -> None:
    made = call(node, here, "wait", label="x")
    own_id = list(server.tasks())[-1]
    grants.revoke(here.grant.pk, by=SYSTEM, reason="No more.")
    denied = ask(node, here, "tasks/get", taskId=made["taskId"])
    assert "result" not in denied.json()
    waits.until(lambda: server.tasks()[own_id] == "cancelled")
    assert f"tasks/get {own_id}" not in server.seen()
    waits.until(lambda: "call.task_cancelled" in here.calls())
    told = next(event for event in here.events() if event.action == "call.task_cancelled")
    first = next(event for event in here.events() if event.action == "call.allowed")
    assert (told.outcome, told.detail["evaluation"]) == ("success", str(first.uuid))


def test_a_token_without_the_scope_is_denied_and_cancels_nothing(node: Gateway, here: World, server: Server) -> None:
    made = call(node, here, "wait", label="x")
    own_id = list(server.tasks())[-1]
    narrow = replace(here)
    narrow.token = lambda **_: World.token(here, scope="")  # type: ignore[method-assign]
    denied = ask(node, narrow, "tasks/get", taskId=made["taskId"])
    assert refused(denied) == (-32001, "scope_missing")
    assert server.tasks()[own_id] == "working"
    assert "call.task_cancelled" not in here.calls()


def test_limits_hold_against_the_arguments_of_the_call_that_made_it(node: Gateway, batch: System) -> None:
    here = rows.granted(batch, "slow_compute")
    made = call(node, here, "slow_compute", seconds=0, label="secret-plan")
    rows.granted(batch, "slow_compute", limits={"slow_compute": {"label": {"one_of": ["public"]}}}, world=here)
    grants.revoke(here.grant.pk, by=SYSTEM, reason="Less.")
    assert refused(ask(node, here, "tasks/get", taskId=made["taskId"])) == (-32001, "argument_outside_limit")
    assert call(node, here, "slow_compute", seconds=0, label="public")["resultType"] == "task"


def test_a_budget_of_calls_counts_the_call_and_one_of_rows_the_result(node: Gateway, here: World) -> None:
    analyst = make.person(roles=[Role.ANALYST])
    budgets.set_budget(What("calls", Decimal(1), None), by=analyst, reason="A bound.", agent=here.agent.slug)
    tool = f"{here.system.slug}/slow_compute"
    counted = What("rows", Decimal(5), None, tool, argument="rows", largest_answer=Decimal(4))
    budgets.set_budget(counted, by=analyst, reason="A bound.", agent=here.agent.slug)
    time.sleep(0.3)
    made = call(node, here, "slow_compute", seconds=0)
    assert finished(node, here, made["taskId"])["result"]["structuredContent"] == {"rows": [1, 2, 3]}
    over = ask(node, here, "tasks/get", taskId=made["taskId"])
    assert over.json()["error"]["data"]["code"] == "answer_over_budget"


def test_a_result_of_a_task_that_holds_a_secret_of_the_vault_is_refused(node: Gateway, here: World) -> None:
    vault.set_secret(make.system(f"bank-{secrets.token_hex(4)}"), kind="bearer", value=CANARY, by=SYSTEM)
    time.sleep(0.3)
    made = call(node, here, "slow_compute", seconds=0, label=CANARY)
    time.sleep(0.3)
    answer = ask(node, here, "tasks/get", taskId=made["taskId"])
    assert CANARY not in answer.text
    assert "secret_in_answer" in answer.text
    waits.until(lambda: "secret_in_answer" in [event.code for event in here.events()])


def test_a_client_that_does_not_understand_tasks_gets_none(node: Gateway, here: World, server: Server) -> None:
    plain = ask(node, here, "tools/call", name="slow_compute", arguments={"seconds": 0}, declared={}).json()["result"]
    assert (plain["resultType"], "taskId" in plain) == ("complete", False)
    made = call(node, here, "wait", label="x")
    before = server.seen()
    lacking = ask(node, here, "tasks/get", taskId=made["taskId"], declared={})
    assert (lacking.status_code, refused(lacking)) == (400, (-32021, "capability_missing"))
    assert lacking.json()["error"]["data"]["requiredCapabilities"] == desk.TASKS
    assert server.seen() == before


def test_arguments_that_no_id_can_hold_make_no_task(node: Gateway, here: World) -> None:
    answered = call(node, here, "slow_compute", seconds=0, label=secrets.token_hex(8_000))
    assert (answered["resultType"], "taskId" in answered) == ("complete", False)


def test_a_tool_that_was_approved_without_tasks_makes_none(node: Gateway, server: Server) -> None:
    schema = {"type": "object", "properties": {"seconds": {"type": "integer"}}}
    other = world.build(server.url, tool="slow_compute", schema=schema)
    assert "taskId" not in call(node, other, "slow_compute", seconds=0)
    offered = node.modern(other.system.slug, "server/discover", other.token()).json()["result"]["capabilities"]
    assert "io.modelcontextprotocol/tasks" not in offered["extensions"]


def test_a_task_that_was_made_at_the_address_of_all_systems_is_asked_about_there(
    node: Gateway, here: World, batch: System
) -> None:
    every = replace(here, system=systems.ensure_all_systems())
    name, given = f"{batch.slug}__slow_compute", {"seconds": 0, "label": "x"}
    made = ask(node, every, "tools/call", slug=addresses.ALL, name=name, arguments=given).json()["result"]
    state = finished(node, every, made["taskId"])
    assert state["result"]["content"][0]["text"] == "Computed x."
    assert refused(ask(node, here, "tasks/get", taskId=made["taskId"])) == (-32602, "task_unknown")
    assert f"system:{batch.slug}" in [link for event in here.events() for link in event.links]


def test_a_task_that_was_not_asked_for_and_one_that_is_mixed_up_are_no_answers(node: Gateway) -> None:
    raw = {"name": "act", "inputSchema": {"type": "object"}, "_meta": desk.TASKS["extensions"]}
    with desk.lying() as url:
        system = make.system(f"liar-{secrets.token_hex(4)}", upstream_url=url)
        here = world.on(make.tool(system, "act", definition=raw))
        unasked = ask(node, here, "tools/call", declared={}, name="act", arguments={"id": "t"})
        too_long = ask(node, here, "tools/call", name="act", arguments={"id": "t" * 513})
        made = call(node, here, "act", id="t")
        mixed_up = ask(node, here, "tasks/get", taskId=made["taskId"])
    for answer in (unasked, too_long, mixed_up):
        assert answer.json()["error"]["data"]["code"] == "upstream_unavailable"
    waits.until(lambda: here.calls().count("call.indeterminate") == 3)


def test_the_extension_is_offered_where_the_system_has_it(node: Gateway, here: World) -> None:
    offered = node.modern(here.system.slug, "server/discover", here.token()).json()["result"]["capabilities"]
    assert offered["extensions"]["io.modelcontextprotocol/tasks"] == {}
    assert "tasks" not in offered
