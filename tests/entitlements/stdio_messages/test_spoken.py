"""What a child says beside its answers: who hears each word, and whose answer it takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from entitlements.stdio_messages import spoken
from entitlements.stdio_messages.listener import MOST_WAITING, Listener, Origin
from entitlements.stdio_messages.spoken import Spoken

ADA, BEN = uuid4(), uuid4()
FORMS: dict[str, Any] = {"elicitation": {}}
ASK = "elicitation/create"
UPDATED = "notifications/resources/updated"


class Desk:
    """A child's words, with those who listen."""

    def __init__(self, *, is_shared: bool = False) -> None:
        self.pending: dict[int, Listener] = {}
        self.streams: list[Listener] = []
        self.written: list[dict[str, Any]] = []
        self.changes = 0
        self.spoken = Spoken(self.pending, self.streams, self._write, self._change, is_shared=is_shared)

    def _change(self) -> None:
        self.changes += 1

    async def _write(self, line: bytes) -> None:
        self.written.append(json.loads(line))

    def call(self, number: int, session: UUID | None = ADA, token: object = None, **capabilities: object) -> Listener:
        made = self.pending[number] = Listener(Origin(session, capabilities), token)
        return made

    def stream(self, session: UUID = ADA, **capabilities: object) -> Listener:
        self.streams.append(Listener(Origin(session, capabilities), is_stream=True))
        return self.streams[-1]

    def says(self, method: str, number: object = None, **params: object) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params} | ({"id": number} if number else {})
        asyncio.run(self.spoken.take(method, message))

    def subscribe(self, uri: str, session: UUID = ADA, *, leaves: bool = False) -> dict[str, Any] | None:
        method = "resources/unsubscribe" if leaves else "resources/subscribe"
        return self.spoken.subscribe({"method": method, "params": {"uri": uri}}, Origin(session))

    def answer(self, name: object, session: UUID | None = ADA) -> bool:
        return asyncio.run(self.spoken.answer({"id": name, "result": {"ok": True}}, Origin(session)))


def heard(listener: Listener) -> list[dict[str, Any]]:
    """Return what waits for a listener."""
    events, listener._events = list(listener._events), type(listener._events)()
    return [json.loads(event.partition(b"data: ")[2]) for event in events]


def test_a_request_goes_to_the_youngest_call_whose_client_takes_it_else_to_a_stream() -> None:
    desk = Desk()
    old, young, without = desk.call(1, **FORMS), desk.call(2, **FORMS), desk.call(3)
    stream = desk.stream(**FORMS)
    desk.says(ASK, "q")
    assert [len(heard(each)) for each in (old, young, without, stream)] == [0, 1, 0, 0]
    del desk.pending[1], desk.pending[2]
    desk.says(ASK, "q")
    assert [len(heard(each)) for each in (without, stream)] == [0, 1]
    desk.streams.clear()
    desk.says(ASK, "q")
    assert len(heard(without)) == 1, "it is refused there in its client's stead, and recorded"
    desk.pending.clear()
    desk.says(ASK, "q")
    assert desk.written == [{"jsonrpc": "2.0", "id": "q", "error": spoken._REFUSED}]


def test_a_request_that_names_a_call_by_its_token_goes_there_under_the_clients_token() -> None:
    desk = Desk()
    named, young = desk.call(1, token="mine", **FORMS), desk.call(2, **FORMS)
    desk.says(ASK, "q", _meta={"progressToken": 1})
    assert heard(young) == []
    assert heard(named)[0]["params"] == {"_meta": {"progressToken": "mine"}}


def test_an_answer_is_taken_once_and_from_the_session_that_was_asked() -> None:
    desk = Desk()
    call = desk.call(1, **FORMS)
    desk.says(ASK, 5)
    (question,) = heard(call)
    assert question["id"] != 5
    for name, session in ((question["id"], BEN), (question["id"], None), (5, ADA), ("5", ADA)):
        assert not desk.answer(name, session)
    assert desk.answer(question["id"])
    assert not desk.answer(question["id"])
    assert desk.written == [{"jsonrpc": "2.0", "id": 5, "result": {"ok": True}}]


def test_what_a_child_takes_back_is_told_to_who_was_asked_and_takes_no_answer() -> None:
    desk = Desk()
    call = desk.call(1, **FORMS)
    desk.says(ASK, 5)
    name = heard(call)[0]["id"]
    desk.says("notifications/cancelled", requestId="5")
    assert heard(call) == []
    desk.says("notifications/cancelled", requestId=5)
    assert heard(call)[0]["params"] == {"requestId": name}
    assert not desk.answer(name)


def test_a_request_to_a_call_that_is_over_is_refused() -> None:
    desk = Desk()
    call = desk.call(1, **FORMS)
    desk.says(ASK, 5)
    asyncio.run(desk.spoken.forget(desk.call(2)))
    assert desk.written == []
    asyncio.run(desk.spoken.forget(call))
    assert [message["error"]["code"] for message in desk.written] == [-32601]
    assert not desk.answer(heard(call)[0]["id"])


def test_requests_that_nobody_answers_are_bounded_and_so_is_what_waits_for_a_slow_client() -> None:
    desk = Desk()
    for number in range(spoken.MOST_QUESTIONS + 1):
        desk.says(ASK, f"q{number}") if number else desk.call(1, **FORMS)
    desk.says(ASK, "too many")
    assert [message["id"] for message in desk.written] == ["too many"]
    full = Desk()
    slow = full.call(1, **FORMS)
    while slow.put(b"{}"):
        pass
    full.says(ASK, "q")
    assert [message["id"] for message in full.written] == ["q"]
    assert len(heard(slow)) == MOST_WAITING


def test_a_log_is_heard_once_by_each_client() -> None:
    desk = Desk()
    ben, bens_other, stateless = desk.call(2, BEN), desk.call(3, BEN), desk.call(4, None)
    ada, bens_stream = desk.stream(), desk.stream(BEN)
    desk.says("notifications/message", level="info", data="x")
    assert [len(heard(each)) for each in (ada, bens_stream, ben, bens_other, stateless)] == [1, 0, 0, 1, 1]


def test_a_changed_resource_is_told_to_the_streams_of_who_subscribed_and_to_the_child_alone_who_is_last() -> None:
    desk = Desk()
    ada, ben = desk.stream(), desk.stream(BEN)
    call = desk.call(1)
    assert desk.subscribe("a://x") is None
    assert desk.subscribe("a://x", BEN) is None
    assert desk.subscribe("a://y", BEN) is None
    for uri in ("a://x", "a://x/part", "a://xy", "a://y", "a://z"):
        desk.says(UPDATED, uri=uri)
    assert [message["params"]["uri"] for message in heard(ada)] == ["a://x", "a://x/part"]
    assert [message["params"]["uri"] for message in heard(ben)] == ["a://x", "a://x/part", "a://y"]
    assert heard(call) == []
    assert desk.subscribe("a://x", leaves=True) == {"result": {}}
    assert desk.subscribe("a://x", BEN, leaves=True) is None
    desk.says(UPDATED, uri="a://x")
    assert heard(ada) + heard(ben) == []
    assert desk.spoken.has_listener
    asyncio.run(desk.spoken.leave(BEN))
    assert [(message["method"], message["params"]) for message in desk.written] == [
        ("resources/unsubscribe", {"uri": "a://y"})
    ]
    assert not desk.spoken.has_listener


def test_subscriptions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoken, "MOST_SUBSCRIBED", 2)
    desk = Desk()
    assert [desk.subscribe(uri) for uri in ("a://x", "a://y")] == [None, None]
    assert desk.subscribe("a://z") == {"error": spoken._FULL}


def test_changed_lists_are_told_to_every_stream_and_that_of_tools_to_the_watch() -> None:
    desk = Desk()
    stream, call = desk.stream(), desk.call(1)
    changes = [f"notifications/{kind}/list_changed" for kind in ("tools", "resources")]
    for method in (*changes, "notifications/unheard_of"):
        desk.says(method)
    assert [message["method"] for message in heard(stream)] == changes
    assert (heard(call), desk.changes) == ([], 1), "definitions are compared where the list of tools changed"


def test_a_child_that_callers_share_asks_nothing_and_its_log_is_for_nobody() -> None:
    desk = Desk(is_shared=True)
    call, stream = desk.call(1, **FORMS), desk.stream(**FORMS)
    desk.says(ASK, "q")
    desk.says("notifications/message", level="info", data="of another's call")
    assert heard(call) + heard(stream) == []
    assert [message["error"]["code"] for message in desk.written] == [-32601]
    desk.says("ping", "p")
    assert desk.written[-1] == {"jsonrpc": "2.0", "id": "p", "result": {}}
