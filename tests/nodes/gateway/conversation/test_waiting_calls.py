"""A legacy server asks a stateless client: by the answer to its call, which waits until the client calls again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents import agents
from entitlements.budgets.budgets import What
from entitlements.catalog import systems
from tests import waits
from tests.nodes.gateway.conversation.desk import SAMPLING, StatelessClient, asks, result, tells, world_of
from tests.nodes.gateway.conversation.talker import Talker
from tests.nodes.gateway.test_budgets import budget, code
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World

SAMPLE = asks("sampling/createMessage", 5, **SAMPLING)
ROOTS = asks("roots/list", "r")


def events(here: World, action: str) -> list[Event]:
    return [event for event in here.events() if event.action == action]


def told(answer: httpx2.Response) -> Any:  # noqa: ANN401 - JSON
    return json.loads(result(answer)["content"][0]["text"])


def test_a_question_is_the_answer_to_the_call_and_the_retry_answers_the_server(
    node: Gateway, here: World, old: Talker
) -> None:
    client = StatelessClient(node, here)
    answer = client.call(SAMPLE)
    asked = result(answer)
    assert asked.keys() == {"resultType", "inputRequests", "requestState"}
    assert asked["resultType"] == "input_required"
    assert list(asked["inputRequests"].values()) == [{"method": "sampling/createMessage", "params": SAMPLING}]
    assert (answer.json()["id"], answer.headers["cache-control"]) == ("n-0", "no-store")
    assert old.answers() == []

    retried = client.retry(asked, SAMPLE, question_1={"model": "m"})
    assert told(retried) == [{"jsonrpc": "2.0", "id": 5, "result": {"model": "m"}}]
    assert retried.json()["id"] == "n-2"
    assert len(old.asked("tools/call")) == 1
    assert old.asked("initialize")[-1]["capabilities"] == {"sampling": {}, "elicitation": {}, "roots": {}}


def test_the_call_is_one_in_the_record_and_the_retry_says_of_which(node: Gateway, here: World) -> None:
    client = StatelessClient(node, here)
    client.retry(result(client.call(SAMPLE)), SAMPLE)
    waits.until(lambda: bool(events(here, "call.finished")))
    assert here.calls() == ["call.allowed", "call.retried", "call.finished"]
    allowed, asked, retried = (events(here, name)[0] for name in ("call.allowed", "client.asked", "call.retried"))
    assert retried.detail["evaluation"] == str(allowed.uuid)
    assert retried.detail["arguments"] == allowed.detail["arguments"]
    assert asked.detail["evaluation"] == str(allowed.uuid)
    assert "a word that no record holds" not in str([(event.detail, event.links) for event in here.events()])


def test_several_questions_are_asked_until_each_has_its_answer(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE, ROOTS))
    assert len(asked["inputRequests"]) == 1
    again = result(client.call(SAMPLE, ROOTS, inputResponses={}, requestState=asked["requestState"]))
    assert {question["method"] for question in again["inputRequests"].values()} == {
        "sampling/createMessage", "roots/list",
    }  # fmt: skip
    assert again["requestState"] != asked["requestState"]
    last = client.retry(again, SAMPLE, ROOTS, question_1={"model": "m"}, question_2={"roots": []})
    assert {answer["id"]: answer["result"] for answer in told(last)} == {5: {"model": "m"}, "r": {"roots": []}}
    assert len(old.asked("tools/call")) == 1


def test_progress_and_logs_reach_the_request_that_is_there(node: Gateway, here: World) -> None:
    client = StatelessClient(node, here)
    progress = tells("notifications/progress", progressToken="first", progress=1)
    say = (SAMPLE, progress)
    asked = result(client.call(*say))
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": "second"}
    meta["io.modelcontextprotocol/clientCapabilities"] = client.offers  # type: ignore[assignment]
    said = {"question-1": {"model": "m"}}
    retried = client.call(*say, inputResponses=said, requestState=asked["requestState"], _meta=meta)
    assert '"progressToken":"second"' in retried.text
    assert result(retried)["content"]


@pytest.mark.parametrize(
    ("offers", "question"),
    [({}, SAMPLE), ({"sampling": {}}, ROOTS), ({"elicitation": {"url": {}}}, asks("elicitation/create", message="?"))],
)
def test_what_the_client_does_not_declare_is_refused_in_its_stead(
    node: Gateway, here: World, old: Talker, offers: dict[str, object], question: dict[str, object]
) -> None:
    client = StatelessClient(node, here, offers)
    assert result(client.call(question))["resultType"] == "complete"
    assert [answer["error"]["code"] for answer in old.answers()] == [-32601]
    assert [event.outcome for event in events(here, "client.asked")] == ["refused"]
    assert old.asked("initialize")[-1]["capabilities"] == offers


def _changed(state: str) -> str:
    return state[:-6] + ("A" if state[-6] != "A" else "B") + state[-5:]


@pytest.mark.parametrize("what", ["changed", "other arguments", "another client", "another system", "used twice"])
def test_a_request_state_goes_on_with_no_other_call(node: Gateway, here: World, old: Talker, what: str) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    say, other = [SAMPLE], client
    state = _changed(asked["requestState"]) if what == "changed" else asked["requestState"]
    if what == "other arguments":
        say = [SAMPLE, tells("notifications/message", level="info", data="x")]
    elif what == "another client":
        other = StatelessClient(node, here.with_another_client())
    elif what == "another system":
        other = StatelessClient(node, world_of(old))
    elif what == "used twice":
        client.retry(asked, SAMPLE)
    before = len(old.heard)
    refused = other.call(*say, inputResponses={"question-1": {"model": "m"}}, requestState=state)
    expected = ("call_over", 409) if what == "used twice" else ("request_state_invalid", 400)
    assert (error(refused)["data"]["code"], refused.status_code) == expected
    assert [message for message in old.heard[before:] if message.get("method") in (None, "tools/call")] == []
    waits.until(lambda: expected[0] in [event.code for event in other.here.events()])
    if what != "used twice":
        assert told(client.retry(asked, SAMPLE))


def test_a_request_state_is_for_one_answer(node: Gateway, here: World, old: Talker) -> None:
    client, say = StatelessClient(node, here), (SAMPLE, ROOTS)
    first = result(client.call(*say))
    second = result(client.call(*say, inputResponses={}, requestState=first["requestState"]))
    refused = client.retry(first, *say)
    assert error(refused)["data"]["code"] == "request_state_invalid"
    assert old.answers() == []
    assert [event.code for event in events(here, "call.denied")] == ["request_state_invalid"]
    assert len(told(client.retry(second, *say))) == 2


def test_of_two_retries_at_once_one_goes_on(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: client.retry(asked, SAMPLE), range(2)))
    assert sorted("result" in answer.json() for answer in answers) == [False, True]
    assert len(old.answers()) == 1


def test_a_stopped_agent_is_denied_and_its_call_ends_at_once(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    agents.suspend(here.agent, by=SYSTEM, reason="Stopped.")
    waits.until(lambda: bool(old.asked("notifications/cancelled")))
    denied = result(client.retry(asked, SAMPLE))
    assert denied["_meta"]["mandate/denial"]["code"] == "agent_suspended"
    assert old.answers() == []
    waits.until(lambda: bool(events(here, "call.indeterminate")))
    (ended,) = events(here, "call.indeterminate")
    assert (ended.outcome, ended.code) == ("unknown", "call_withdrawn")
    assert sorted(here.calls()) == ["call.allowed", "call.denied", "call.indeterminate"]


def test_a_caller_has_room_for_ten_calls_that_wait(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    waiting = [result(client.call(SAMPLE)) for _ in range(10)]
    assert {each["resultType"] for each in waiting} == {"input_required"}
    assert result(client.call(SAMPLE))["resultType"] == "complete"
    assert old.answers()[-1]["error"]["message"] == "The client cannot be asked now."
    agents.suspend(here.agent, by=SYSTEM, reason="Over.")


@pytest.mark.parametrize("responses", [[], {"question-1": 5}, {"question-1": None}])
def test_answers_that_are_no_results_are_refused_and_the_call_waits_on(
    node: Gateway, here: World, old: Talker, responses: object
) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    refused = client.call(SAMPLE, inputResponses=responses, requestState=asked["requestState"])
    assert error(refused)["data"]["code"] == "malformed_call"
    assert old.answers() == []
    assert told(client.retry(asked, SAMPLE))


def test_what_the_server_takes_back_is_asked_no_more(node: Gateway, here: World, old: Talker) -> None:
    client, taken_back = StatelessClient(node, here), tells("notifications/cancelled", requestId=5)
    say = (ROOTS, SAMPLE, taken_back)
    asked = result(client.call(*say))
    again = result(client.call(*say, inputResponses={}, requestState=asked["requestState"]))
    assert [question["method"] for question in again["inputRequests"].values()] == ["roots/list"]
    agents.suspend(here.agent, by=SYSTEM, reason="Over.")
    assert old.answers() == []


def test_a_call_at_the_address_of_all_systems_waits_as_at_its_own(node: Gateway, here: World, old: Talker) -> None:
    every = replace(here, system=systems.ensure_all_systems())
    token = every.token(scope=f"{here.system.slug}:read")
    client = StatelessClient(node, here, token=token, at=addresses.ALL, tool=f"{here.system.slug}__{here.tool.name}")
    asked = result(client.call(SAMPLE))
    assert asked["resultType"] == "input_required"
    assert told(client.retry(asked, SAMPLE))
    assert len(old.asked("tools/call")) == 1


def test_a_secret_of_the_vault_is_in_no_question_and_a_question_counts_among_the_bytes(
    node: Gateway, here: World
) -> None:
    words = {"messages": [{"role": "user", "content": {"type": "text", "text": "the key is upstream-secret, keep it"}}]}
    asked = StatelessClient(node, here).call(asks("sampling/createMessage", 5, **words))
    assert "upstream-secret" not in asked.text
    assert result(asked)["resultType"] == "input_required"
    budget(What("bytes", Decimal(3000), largest_answer=Decimal(2000)), agent=here.agent.slug)
    long = {"messages": [{"role": "user", "content": {"type": "text", "text": "x" * 4000}}]}
    assert code(StatelessClient(node, here).call(asks("sampling/createMessage", 5, **long))) == "answer_over_budget"
