"""A system of 2026 alone asks a client of 2025: what the client hears, who may answer, and what the system gets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.budgets import budgets
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.gateway.conversation import input_requests, server_messages
from entitlements.grants import grants
from entitlements.keys import session_keys
from entitlements.people.models import Role
from scripts.devservers import free_port
from tests import make, waits
from tests.conformance import servers
from tests.nodes.gateway.conversation import asking_server
from tests.nodes.gateway.conversation.desk import LegacyClient, asks, tells
from tests.nodes.gateway.primitives import desk
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World

if TYPE_CHECKING:
    from entitlements.catalog.models import System

CUSTOMER = "resources/templates/crm://customers/{customer}"
NAMES = ("ask", "rounds", "later", "speak", CUSTOMER, "prompts/brief")
OFFERS: dict[str, Any] = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
NAMED = {"result": {"action": "accept", "content": {"name": "Ada"}}}
SAMPLED = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}}


@pytest.fixture(scope="module")
def server() -> Iterator[desk.Server]:
    base = f"http://localhost:{(port := free_port())}"
    command = ["-m", "tests.nodes.gateway.conversation.asking_server", str(port)]
    with servers.serving(command, f"{base}/healthz"):
        yield desk.Server(base)


@pytest.fixture(scope="module")
def system(node: Gateway, server: desk.Server) -> System:  # noqa: ARG001 - the node must run
    return desk.discovered(server.url)


@pytest.fixture
def here(system: System) -> World:
    return desk.granted(system, *NAMES)


def text(message: dict[str, Any]) -> str:
    """Return what a tool answered."""
    return str(message["result"]["content"][0]["text"])


def calls_at(server: desk.Server, name: str) -> list[dict[str, Any]]:
    """Return the params of what arrived for a tool, a prompt or a URI."""
    seen: Any = server.seen()
    found = [message["params"] for message in seen if message["method"] not in ("server/discover", "tools/list")]
    return [params for params in found if name in (params.get("name"), params.get("uri"))]


def test_each_question_reaches_the_client_and_its_answers_the_system_with_the_state(
    node: Gateway, here: World, server: desk.Server
) -> None:
    client, before = LegacyClient(node, here, OFFERS), len(calls_at(server, "ask"))
    with client.calling_tool("ask", kinds="form sampling roots url") as messages:
        asked = [next(messages) for _ in range(4)]
        by_method = {(each["method"], each["params"].get("mode", "")): each for each in asked}
        assert by_method["sampling/createMessage", ""]["params"]["maxTokens"] == 20
        url = by_method["elicitation/create", "url"]["params"]
        assert (url["url"], bool(url["elicitationId"])) == (asking_server.URL, True)
        answers = {
            ("sampling/createMessage", ""): SAMPLED,
            ("roots/list", ""): {"roots": [{"uri": "file:///a"}]},
            ("elicitation/create", "url"): {"action": "decline"},
            ("elicitation/create", "form"): NAMED["result"],
        }
        for key, result in answers.items():
            assert client.answer(by_method[key], result=result).status_code == 202
        told = next(messages)
    assert json.loads(text(told)) == {
        "form": ["accept", {"name": "Ada"}], "sampling": "m", "roots": ["file:///a"], "url": ["decline", None],
    }  # fmt: skip
    first, retry = calls_at(server, "ask")[before:]
    assert first["_meta"]["io.modelcontextprotocol/clientCapabilities"] == OFFERS
    assert retry["_meta"]["io.modelcontextprotocol/clientCapabilities"] == OFFERS
    assert (retry["arguments"], set(retry["inputResponses"])) == (
        first["arguments"],
        {"form", "sampling", "roots", "url"},
    )
    assert "requestState" not in {**first, **retry}
    assert "requestState" not in str([*asked, told])
    waits.until(lambda: here.calls() == ["call.allowed", "call.finished"])
    events = here.events()
    questions = [event for event in events if event.action == "client.asked"]
    assert sorted(event.detail["method"] for event in questions) == sorted(each["method"] for each in asked)
    assert asking_server.SECRET_WORD not in str([(event.detail, event.links) for event in events])


def test_a_system_may_ask_several_times_and_its_state_comes_back_as_it_was(
    node: Gateway, here: World, server: desk.Server
) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("rounds", number=3) as messages:
        for name in ("Ada", "Alan", "Grace"):
            client.answer(next(messages), result={"action": "accept", "content": {"name": name}})
        assert json.loads(text(next(messages))) == ["Ada", "Alan", "Grace"]
    states = [params.get("requestState") for params in calls_at(server, "rounds")]
    assert states[:2] == [None, None]
    assert all(states[2:])
    with client.calling_tool("later", number=3) as messages:
        assert text(next(messages)) == "after 3"


def test_a_system_that_asks_without_end_is_not_asked_for_ever(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("rounds", number=99) as messages:
        for _ in range(input_requests.MOST_ROUNDS):
            client.answer(next(messages), **NAMED)
        ended = next(messages)
    assert (ended["result"]["isError"], "input_missing" in text(ended)) == (True, True)
    waits.until(lambda: here.events()[-1].code == "input_missing")


def test_resources_and_prompts_ask_as_tools_do(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    read = asks("resources/read", 3, uri="crm://customers/7")
    with client.asking(read) as messages:
        client.answer(next(messages), **NAMED)
        assert next(messages)["result"]["contents"][0]["text"] == "7 for ['accept', {'name': 'Ada'}]"
    with client.asking(asks("prompts/get", 4, name="brief", arguments={"subject": "x"})) as messages:
        client.answer(next(messages), result=SAMPLED)
        assert next(messages)["result"]["messages"][0]["content"]["text"] == "x by m"


@pytest.mark.parametrize(
    ("offers", "kinds"),
    [({"sampling": {}}, "sampling form"), ({}, "roots"), ({"elicitation": {}}, "url"), (OFFERS, "http")],
)
def test_what_the_client_does_not_offer_ends_the_call_before_the_client_is_asked_for_anything(
    node: Gateway, here: World, offers: dict[str, Any], kinds: str
) -> None:
    client = LegacyClient(node, here, offers)
    ended = client.post(asks("tools/call", 9, name="ask", arguments={"kinds": kinds}))
    assert (ended.status_code, ended.json()["result"]["isError"]) == (200, True)
    assert [event.outcome for event in here.events() if event.action == "client.asked"] == ["refused"]
    waits.until(lambda: (here.events()[-1].action, here.events()[-1].code) == ("call.finished", "input_missing"))


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "brief", "arguments": {"subject": "x"}}),
        ("resources/read", {"uri": "crm://customers/7"}),
    ],
)
def test_a_prompt_and_a_resource_without_an_answer_are_errors_of_the_protocol(
    node: Gateway, here: World, method: str, params: dict[str, Any]
) -> None:
    ended = LegacyClient(node, here, {}).post(asks(method, 4, **params))
    assert (ended.status_code, error(ended)["code"], error(ended)["data"]["code"]) == (200, -32603, "input_missing")


def test_a_question_that_fails_at_the_client_was_dismissed_and_a_sample_that_fails_ends_the_call(
    node: Gateway, here: World
) -> None:
    client, failed = LegacyClient(node, here, OFFERS), {"error": {"code": -1, "message": "The model is away."}}
    with client.calling_tool("ask", kinds="form") as messages:
        client.answer(next(messages), **failed)
        assert json.loads(text(next(messages))) == {"form": ["cancel", None]}
    with client.calling_tool("ask", kinds="sampling form") as messages:
        asked = {each["method"]: each for each in (next(messages), next(messages))}
        assert client.answer(asked["sampling/createMessage"], **failed).status_code == 202
        cancelled, ended = next(messages), next(messages)
        assert cancelled["method"] == "notifications/cancelled"
        assert cancelled["params"]["requestId"] == asked["elicitation/create"]["id"]
        assert "The model is away." in text(ended)
        assert client.answer(asked["elicitation/create"], **NAMED).status_code == 400


@pytest.mark.parametrize("who", ["another session", "another client"])
def test_no_other_client_answers_and_an_answer_counts_once(node: Gateway, here: World, who: str) -> None:
    client = LegacyClient(node, here, OFFERS)
    other = LegacyClient(node, here.with_another_client() if who == "another client" else here, OFFERS)
    with client.calling_tool("ask", kinds="form roots") as messages:
        asked = {each["method"]: each for each in (next(messages), next(messages))}
        form = asked["elicitation/create"]
        assert (answer := other.answer(form, **NAMED)).status_code == 400
        assert error(answer)["code"] == -32600
        assert client.answer(form, result={"action": "decline"}).status_code == 202
        assert client.answer(form, **NAMED).status_code == 400
        assert client.answer(asked["roots/list"], result={"roots": []}).status_code == 202
        assert json.loads(text(next(messages))) == {"form": ["decline", None], "roots": []}
        assert client.answer(form, **NAMED).status_code == 400


def test_an_answer_after_the_time_is_refused(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("ask", kinds="form") as messages:
        asked = next(messages)
        late = changed(asked["id"], until=clock.now().timestamp() - 1)
        assert client.answer({"id": late}, **NAMED).status_code == 400
        assert client.answer(asked, **NAMED).status_code == 202
        assert "Ada" in text(next(messages))


def changed(sealed: str, **changes: object) -> str:
    """Return the id of a question with something else in it, as a node would seal it."""
    purpose = server_messages.PURPOSE
    plain = own_connection.run(session_keys.opened(READS, sealed, purpose=purpose))
    body = msgspec.json.encode(msgspec.structs.replace(server_messages.read_asked(plain), **changes))
    return own_connection.run(session_keys.sealed(READS, body, purpose=purpose))


def test_rights_that_go_between_question_and_answer_end_the_call_and_nothing_is_sent(
    node: Gateway, here: World, server: desk.Server
) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("ask", kinds="form") as messages:
        asked, before = next(messages), len(calls_at(server, "ask"))
        grants.revoke(here.grant.pk, by=SYSTEM, reason="test")
        assert next(messages)["method"] == "notifications/cancelled"
        assert "withdrawn" in str(next(messages))
        assert client.answer(asked, **NAMED).status_code in (403, 404)
    assert len(calls_at(server, "ask")) == before
    waits.until(lambda: here.calls().count("call.indeterminate") == 1)


def test_a_client_cancels_its_call_while_that_waits(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("ask", request_id=44, kinds="form") as messages:
        asked = next(messages)
        assert client.post(tells("notifications/cancelled", requestId=44)).status_code == 202
        assert next(messages)["params"]["requestId"] == asked["id"]
        assert "result" not in next(messages)
        assert client.answer(asked, **NAMED).status_code == 400
    waits.until(lambda: sorted(here.calls()) == ["call.allowed", "call.denied", "call.indeterminate"])


def test_a_client_that_goes_may_still_answer_and_the_system_gets_it(
    node: Gateway, here: World, server: desk.Server
) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("ask", kinds="form") as messages:
        asked, before = next(messages), len(calls_at(server, "ask"))
    assert client.answer(asked, **NAMED).status_code == 202
    waits.until(lambda: len(calls_at(server, "ask")) == before + 1)
    waits.until(lambda: here.calls() == ["call.allowed", "call.finished"])


def test_a_session_that_ends_leaves_no_call_waiting(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    with client.calling_tool("ask", kinds="form") as messages:
        next(messages)
        headers = {"Authorization": f"Bearer {client.token}", "Mcp-Session-Id": client.session}
        httpx2.delete(f"{node.base}/gw/{here.system.slug}/mcp", headers=headers)
        assert next(messages)["method"] == "notifications/cancelled"
        assert "session" in text(next(messages))


def test_a_token_that_ended_meanwhile_is_replaced_by_that_of_the_answer(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here, OFFERS)
    client.token, fresh = here.token(exp=int((clock.now() + timedelta(seconds=2)).timestamp())), client.token
    with client.calling_tool("ask", kinds="form") as messages:
        asked, client.token = next(messages), fresh
        waits.until(lambda: client.post(asks("ping", 2)).status_code == 200)
        time.sleep(2.2)
        client.answer(asked, **NAMED)
        assert "Ada" in text(next(messages))


def test_a_call_counts_once_however_often_it_is_asked_for_input(node: Gateway, here: World) -> None:
    bound = budgets.What("calls", Decimal(2), None)
    budgets.set_budget(bound, by=make.person(roles=[Role.ANALYST]), reason="A bound.", grant=here.grant.pk)
    time.sleep(0.3)  # until the node has heard of it
    client = LegacyClient(node, here, OFFERS)
    for _ in range(2):
        with client.calling_tool("rounds", number=2) as messages:
            for _ in range(2):
                client.answer(next(messages), **NAMED)
            assert json.loads(text(next(messages))) == ["Ada", "Ada"]
    with client.calling_tool("rounds", number=2) as messages:
        assert "budget" in text(next(messages)) or "rate" in text(next(messages))
    assert here.calls()[-1] == "call.denied"


def test_a_client_says_nothing_of_input_of_its_own_accord(node: Gateway, here: World, server: desk.Server) -> None:
    client = LegacyClient(node, here, OFFERS)
    more = {"inputResponses": {"form": {"action": "accept"}}, "requestState": "mine"}
    with client.asking(asks("tools/call", 9, name="later", arguments={"number": 0}, **more)) as said:
        assert text(next(said)) == "after 0"
    assert not more.keys() & calls_at(server, "later")[-1].keys()


def test_the_level_of_a_session_goes_with_each_of_its_calls(node: Gateway, here: World) -> None:
    def heard(client: LegacyClient) -> list[str]:
        with client.calling_tool("speak") as messages:
            said = [next(messages)]
            while "result" not in said[-1]:
                said.append(next(messages))
        return [message["params"]["level"] for message in said[:-1]]

    client, silent = LegacyClient(node, here, OFFERS), LegacyClient(node, here, OFFERS)
    assert heard(client) == []
    assert client.post(asks("logging/setLevel", 3, level="warning")).json()["result"] == {}
    assert (heard(client), heard(silent)) == (["warning", "error"], [])
    client.post(asks("logging/setLevel", 3, level="error"))
    assert heard(client) == ["error"]
