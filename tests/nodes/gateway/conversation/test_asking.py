"""A legacy server asks its client: who hears it, who may answer, and what the record says of it."""

from __future__ import annotations

import json

import httpx2
import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.gateway.models import UpstreamSession
from tests import waits
from tests.nodes.gateway.conversation.desk import SAMPLING, LegacyClient, asks, tells
from tests.nodes.gateway.conversation.talker import Talker
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World

URL_MODE = {"mode": "url", "message": "Sign in.", "elicitationId": "e"}


def questions(here: World) -> list[Event]:
    return [event for event in here.events() if event.action == "client.asked"]


def test_what_a_server_asks_reaches_the_client_and_the_answer_the_server(
    node: Gateway, here: World, old: Talker
) -> None:
    client = LegacyClient(node, here)
    with client.calling(asks("sampling/createMessage", 5, **SAMPLING), asks("roots/list", "r")) as messages:
        sampling, roots = next(messages), next(messages)
        assert (sampling["method"], sampling["params"]) == ("sampling/createMessage", SAMPLING)
        assert sampling["id"] not in (5, roots["id"])
        assert client.answer(sampling, result={"model": "m"}).status_code == 202
        assert client.answer(roots, error={"code": -1, "message": "No."}).status_code == 202
        told = json.loads(next(messages)["result"]["content"][0]["text"])
    assert told == [
        {"jsonrpc": "2.0", "id": 5, "result": {"model": "m"}},
        {"jsonrpc": "2.0", "id": "r", "error": {"code": -1, "message": "No."}},
    ]
    assert old.asked("initialize")[-1]["capabilities"] == client.offers
    call = next(event for event in here.events() if event.action == "call.allowed")
    asked = {event.detail["method"]: event for event in questions(here)}
    assert asked.keys() == {"sampling/createMessage", "roots/list"}
    assert asked["roots/list"].detail["evaluation"] == str(call.uuid)
    assert "a word that no record holds" not in str([(event.detail, event.links) for event in here.events()])


@pytest.mark.parametrize("who", ["another session", "another client", "another server's session"])
def test_no_other_client_answers(node: Gateway, here: World, old: Talker, who: str) -> None:
    client = LegacyClient(node, here)
    other = LegacyClient(node, here.with_another_client() if who == "another client" else here)
    with client.calling(asks("sampling/createMessage", 5, **SAMPLING)) as messages:
        asked = next(messages)
        if who == "another server's session":
            UpstreamSession.objects.all().delete()
            other.session = client.session
            asked = {"id": asked["id"][:-4] + "AAAA"}
        refused = other.answer(asked)
        assert (refused.status_code, error(refused)["code"]) == (400, -32600)
        assert old.answers() == []
    denied = [event for event in other.here.events() if event.action == "call.denied"]
    assert [event.code for event in denied] == ["malformed_call"]


def test_an_answer_that_was_not_asked_for_is_dropped_and_recorded_once(node: Gateway, here: World, old: Talker) -> None:
    client = LegacyClient(node, here)
    for request_id in (5, "5", client.session):
        assert client.answer({"id": request_id}).status_code == 400
    client_without = LegacyClient(node, here)
    client_without.session = ""
    assert client_without.answer({"id": "5"}).status_code == 400
    assert old.answers() == []
    assert [event.action for event in here.events()].count("call.denied") == 4


@pytest.mark.parametrize(
    ("offers", "question"),
    [
        ({}, asks("sampling/createMessage", **SAMPLING)),
        ({"sampling": {}}, asks("elicitation/create", message="Name?", requestedSchema={})),
        ({"elicitation": {}}, asks("elicitation/create", **URL_MODE, url="https://idp.example/")),
        ({"elicitation": {"url": {}}}, asks("elicitation/create", message="Name?", requestedSchema={})),
        ({"elicitation": {"url": {}}}, asks("elicitation/create", **URL_MODE, url="http://idp.example/")),
        ({"elicitation": {"url": {}}}, asks("elicitation/create", **URL_MODE, url="https://a@idp.example/")),
        ({"elicitation": {"url": {}}}, asks("elicitation/create", **URL_MODE, url="javascript:alert(1)")),
        ({"sampling": {}}, asks("tools/call", name="x")),
    ],
)
def test_what_the_client_does_not_offer_is_refused_in_its_stead(
    node: Gateway, here: World, old: Talker, offers: dict[str, object], question: dict[str, object]
) -> None:
    client = LegacyClient(node, here, offers)
    with client.calling(question) as messages:
        assert "result" in next(messages)
    (answer,) = old.answers()
    is_address_bad = "url" in str(offers) and "url" in str(question["params"])
    assert (answer["id"], answer["error"]["code"]) == (5, -32602 if is_address_bad else -32601)
    assert [event.outcome for event in questions(here)] == ["refused"]


def test_an_address_to_open_is_shown_as_it_is(node: Gateway, here: World) -> None:
    client, url = LegacyClient(node, here, {"elicitation": {"url": {}}}), "https://idp.example/sign-in?a=%41&b"
    with client.calling(asks("elicitation/create", **URL_MODE, url=url)) as messages:
        asked = next(messages)
        assert asked["params"] == {**URL_MODE, "url": url}
        client.answer(asked)


def test_a_ping_is_answered_by_the_gateway_and_what_the_server_takes_back_is_named_as_the_client_knows_it(
    node: Gateway, here: World, old: Talker
) -> None:
    client = LegacyClient(node, here)
    taken_back = tells("notifications/cancelled", requestId=5, reason="late")
    with client.calling(asks("ping", "p"), asks("roots/list", 5), taken_back) as messages:
        asked, cancelled = next(messages), next(messages)
        assert cancelled["params"] == {"requestId": asked["id"], "reason": "late"}
        client.answer(asked, result={"roots": []})
        next(messages)
    assert {answer["id"]: answer["result"] for answer in old.answers()} == {"p": {}, 5: {"roots": []}}


def test_a_stopped_agent_answers_nothing_and_its_call_ends(node: Gateway, here: World, old: Talker) -> None:
    client = LegacyClient(node, here)
    with client.calling(asks("sampling/createMessage", 5, **SAMPLING)) as messages:
        asked = next(messages)
        agents.suspend(here.agent, by=SYSTEM, reason="Stopped.")
        assert "withdrawn" in str(next(messages))
        assert client.answer(asked).status_code in (401, 403, 404)
    assert old.answers() == []


def test_each_session_of_a_client_has_its_own_with_the_server_which_goes_with_it(
    node: Gateway, here: World, old: Talker
) -> None:
    first, second = LegacyClient(node, here), LegacyClient(node, here, {})
    for client in (first, second):
        with client.calling() as messages:
            next(messages)
    greeted = [params["capabilities"] for params in old.asked("initialize")]
    assert greeted == [first.offers, {}]
    mine = UpstreamSession.objects.filter(agent=here.agent, ended_at=None)
    assert mine.count() == 2
    address = f"{node.base}/gw/{here.system.slug}/mcp"
    headers = {"Authorization": f"Bearer {first.token}", "Mcp-Session-Id": first.session}
    assert httpx2.delete(address, headers=headers).status_code == 200
    waits.until(lambda: mine.count() == 1)


def test_the_level_of_the_log_is_told_to_the_server(node: Gateway, here: World, old: Talker) -> None:
    client = LegacyClient(node, here)
    assert client.post(asks("logging/setLevel", 3, level="warning")).json()["result"] == {}
    assert old.asked("logging/setLevel") == [{"level": "warning"}]
    assert client.post(asks("logging/setLevel", 3, level="loud")).status_code == 400


def test_progress_that_a_client_reports_reaches_who_asked_and_nobody_else(
    node: Gateway, here: World, old: Talker
) -> None:
    client, other = LegacyClient(node, here), LegacyClient(node, here)
    question = asks("sampling/createMessage", 5, _meta={"progressToken": "theirs", "more": 1}, **SAMPLING)
    with client.calling(question) as messages:
        asked = next(messages)
        token = asked["params"]["_meta"]["progressToken"]
        assert (token == "theirs", asked["params"]["_meta"]["more"]) == (False, 1)
        for who, named in ((other, token), (client, "theirs"), (client, 7), (client, asked["id"]), (client, token)):
            said = tells("notifications/progress", progressToken=named, progress=1, total=2, message="Half.", x=1)
            assert who.post(said).status_code == 202
        client.answer(asked)
        next(messages)
    heard = [{"progressToken": "theirs", "progress": 1, "total": 2, "message": "Half."}]
    assert old.asked("notifications/progress") == heard
