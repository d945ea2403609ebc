"""A call has one end in the record, whatever cuts it short while its end is being written or answered."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from threading import Thread
from types import SimpleNamespace
from typing import Final, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connection, transaction

from audit import batch, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.draft import TextDraft
from entitlements.codes import Code
from entitlements.decisions.snapshot import Token
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.gateway import relay
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.conversation.responder import Responder
from entitlements.gateway.dispatch import McpForwarding
from entitlements.gateway.doors import McpDoor
from entitlements.gateway.http import Answer, Message, Request
from entitlements.gateway.messages import Call
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.isolation.isolation import Bounds, Isolation
from entitlements.node.node import Node
from entitlements.node.snapshots import SnapshotInUse
from entitlements.node.streams import OpenRequest, OpenRequests
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.tokens.models import IssuedToken
from entitlements.traces.trace_context import TraceContext
from entitlements.upstream import upstream
from tests import waits
from tests.audit import make as record
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway, World

ALLOWED = Verdict(Effect.ALLOW, Code.ALLOWED, (), "grant-1")
DENIED = Verdict(Effect.DENY, Code.NO_GRANT, (Reason(Code.NO_GRANT, "It has ended."),))
BEARER = Bearer("https://gw", Token("jti-1", 0, 9e9, frozenset()), "bot", "client-1", None, None)
REVOKED = Code.CALL_WITHDRAWN


@dataclass
class Pause:
    """A place where the story stops until the test lets it go on."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        """Say that the place is reached, and wait."""
        self.reached.set()
        await self.goes_on.wait()


async def nothing() -> None:
    """Stop nowhere."""


@dataclass
class Story:
    """One call on a node whose parts wait where the test says: the right to it is gone at the second look.

    `recording` is awaited before the record has an end; `sending` before a part of the answer leaves. `fates` are what
    the writer raises for one end after the other, None for a commit.
    """

    recording: Callable[[], Awaitable[None]] = nothing
    sending: Callable[[], Awaitable[None]] = nothing
    fates: list[Exception] = field(default_factory=list)
    is_sent: bool = False
    events: list[TextDraft] = field(default_factory=list)
    answered: list[Message] = field(default_factory=list)
    opened: OpenRequests = field(default_factory=OpenRequests)
    verdicts: list[Verdict] = field(default_factory=lambda: [ALLOWED, DENIED])

    def follow(self, event: TextDraft) -> asyncio.Future[None]:
        """Be the writer: take an event without a waiting call."""
        return asyncio.ensure_future(self.write(event))

    async def write(self, event: TextDraft, claim: object = None) -> None:
        """Be the writer: keep the event, then wait, then meet its fate."""
        assert claim is None  # these callers present bearer tokens
        self.events.append(event)
        if event.action != "call.allowed":
            await self.recording()
            if self.fates:
                raise self.fates.pop(0)

    async def decide(self, _call: object, _rule: object) -> tuple[Verdict, SnapshotInUse | None]:
        """Be the node: allow, then deny."""
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0], None

    async def send(self, message: Message) -> None:
        """Be the server: pass a part of the answer on."""
        await self.sending()
        self.answered.append(message)

    async def receive(self) -> Message:
        """Be a client that stays."""
        await asyncio.Event().wait()
        raise AssertionError

    async def kept(self, *_: object) -> list[object]:
        """Be the database: no budget is in force."""
        return []

    async def connection(self, *_: object) -> SimpleNamespace:
        """Be the upstream's conversation, of which nothing is asked here."""
        return SimpleNamespace()

    async def carry_out(self, upstream_call: relay.UpstreamCall) -> relay.CallEnd:
        """Be the upstream call: look once more, then do nothing."""
        if not self.is_sent:
            upstream_call.gate()
        upstream_call.was_sent = True
        await upstream_call.responder.finish(Answer(200, b"{}"))
        return relay.CallEnd("success", "")

    def begin(self) -> asyncio.Task[None]:
        """Start the call."""
        upstreams = SimpleNamespace(get=self.connection, cancel=lambda *_: None, lose=lambda *_: None)
        node = SimpleNamespace(
            decide=self.decide,
            reads=lambda: SimpleNamespace(kept=self.kept),
            still_allows=lambda *_: False,
            count=lambda _: None,
            recorder=records.Recorder(cast("batch.Writer", self)),
            opened=self.opened,
            upstreams=upstreams,
            feed=SimpleNamespace(position=0),
            isolation=Isolation(Bounds(10, 10, 10, 10), lambda *_: None),
            secrets=SimpleNamespace(current=nothing),
            definitions=SimpleNamespace(changed=lambda _: None),
        )
        entry = ServedSystem(
            "crm", "CRM", "tool_result", cast("upstream.Target", SimpleNamespace(needs_account=False)), (), {}, 0
        )
        call = Call("tools/call", {"name": "read"}, b"7", is_modern=False, meta={})
        request = Request("POST", "/gw/crm/mcp", [], self.receive, self.send)
        about = records.CallDetails(BEARER, "crm", "tools/call", tool="read")
        responder, held = Responder(self.send), cast("Node", node)
        door = McpDoor(entry, BEARER, call, "crm", responder, "read")
        forwarding = McpForwarding(held, entry, BEARER, request, call, TraceContext("a" * 32, "b" * 16), responder)
        return asyncio.create_task(ToolCall(held, entry, BEARER, request, about, {}, door, forwarding).run())

    def cut(self, reason: str = REVOKED) -> None:
        """Do what a change of rights does to whatever is open."""
        for it in self.opened.of(None):
            it.end(reason)

    @property
    def ends(self) -> list[str]:
        """What the record says of how the call ended."""
        return [event.action for event in self.events if event.action != "call.allowed"]

    @property
    def is_answered(self) -> bool:
        """Whether the client has the whole of an answer."""
        return [each["type"] for each in self.answered] == ["http.response.start", "http.response.body"]


def play(monkeypatch: pytest.MonkeyPatch, story: Story, pause: Pause, then: Callable[[Story], object]) -> Story:
    """Let the call reach the pause, do to it what the test does, and let it go on to its end."""
    monkeypatch.setattr(relay.UpstreamCall, "carry_out", lambda upstream_call: story.carry_out(upstream_call))  # noqa: PLW0108 - it binds

    async def tell() -> None:
        task = story.begin()
        await pause.reached.wait()
        then(story)
        await settle()
        pause.goes_on.set()
        await asyncio.wait({task})
        await settle()

    asyncio.run(asyncio.wait_for(tell(), waits.SECONDS))
    return story


async def settle() -> None:
    """Let what was begun go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("reason", [REVOKED, "the gateway stops", Code.LEASE_LAPSED, "cancelled by the client"])
@pytest.mark.parametrize("place", ["recording", "sending"])
def test_what_cuts_a_call_while_it_is_withdrawn_writes_no_second_end_and_the_client_gets_its_answer(
    monkeypatch: pytest.MonkeyPatch, place: str, reason: str
) -> None:
    pause = Pause()
    made = Story(recording=pause) if place == "recording" else Story(sending=pause)

    story = play(monkeypatch, made, pause, lambda it: it.cut(reason))

    assert story.ends == ["call.withdrawn"]
    assert story.is_answered


def test_a_server_that_stops_while_a_call_is_withdrawn_writes_no_second_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause()
    story = play(monkeypatch, Story(recording=pause), pause, lambda it: it.opened.of(None)[0].task.cancel())
    assert story.ends == ["call.withdrawn"]


def test_a_withdrawal_of_unknown_fate_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause()
    made = Story(recording=pause, fates=[batch.FateUnknown("lost")])

    story = play(monkeypatch, made, pause, lambda _: None)

    assert story.ends == ["call.withdrawn"]
    assert story.is_answered


def test_a_call_that_is_cut_while_its_answer_is_sent_is_indeterminate_and_has_not_finished_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause = Pause()
    story = play(monkeypatch, Story(sending=pause, is_sent=True), pause, lambda it: it.cut())
    assert story.ends == ["call.indeterminate"]


def test_a_revocation_that_listed_a_call_before_it_was_over_cancels_nothing_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause, listed, cancelled = Pause(), list[OpenRequest](), list[str]()
    story = Story(sending=pause, is_sent=True)
    play(monkeypatch, story, pause, lambda it: listed.extend(it.opened.of(None)))
    monkeypatch.setattr(listed[0], "task", SimpleNamespace(cancel=lambda: cancelled.append("cancelled")))

    listed[0].end(REVOKED)

    assert (story.ends, cancelled) == (["call.finished"], [])


def test_a_call_is_decided_again_before_the_system_gets_what_it_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[relay.UpstreamCall] = []

    async def carry_out(upstream_call: relay.UpstreamCall) -> relay.InputRequired:
        tries.append(upstream_call)
        upstream_call.was_sent = True
        return relay.InputRequired({}, "state")

    async def ask(*_: object) -> float:
        return 0.0

    monkeypatch.setattr(relay.UpstreamCall, "carry_out", carry_out)
    monkeypatch.setattr(McpForwarding, "ask", ask)
    story = Story()

    async def tell() -> None:
        await asyncio.wait({story.begin()})

    asyncio.run(asyncio.wait_for(tell(), waits.SECONDS))

    assert (len(tries), story.ends, story.is_answered) == (1, ["call.indeterminate"], True)


TARGETS: Final[dict[str, Callable[[World], str]]] = {
    "grant": lambda here: str(here.grant.pk),
    "token": lambda here: str(IssuedToken.objects.get(client=here.client).pk),
    "session": lambda here: str(here.session.pk),
    "client": lambda here: here.client.client_id,
    "agent": lambda here: here.agent.slug,
    "person": lambda here: here.person.login,
    "system": lambda here: here.system.slug,
}
UNENDED: Final = """
SELECT a.uuid FROM events a WHERE a.action = 'call.allowed' AND NOT EXISTS (
    SELECT FROM events e WHERE e.trace = a.trace
       AND e.action IN ('call.finished', 'call.withdrawn', 'call.indeterminate'))
"""


def calls_until_denied(nodes: Sequence[Gateway], here: World, token: str, outcomes: list[str]) -> None:
    """Call one node after the other until an answer is no result."""
    for gateway in itertools.cycle(nodes):
        result = gateway.call(here, token, do="answer").json().get("result", {})
        if result.get("isError") or "content" not in result:
            outcomes.append(str(result.get("_meta", {}).get("mandate/denial", {}).get("code", "no result")))
            return


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> record.Archive:
    """One for the module, as its database is: another would not have signed what the first one sealed."""
    return record.Archive(tmp_path_factory.mktemp("archive"), Ed25519PrivateKey.generate())


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize("rounds", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_rounds_of_revoking_under_six_calling_threads_on_two_nodes_break_no_invariant(
    node: Gateway, rounds: int, archive: record.Archive
) -> None:
    with world.gateway("node-2") as second, scripted.upstream() as server:
        for kind in itertools.islice(itertools.cycle(TARGETS), rounds):
            here, outcomes = world.build(server.url, tool="act", schema={"type": "object"}), list[str]()
            token = here.token()
            row = IssuedToken.objects.get(client=here.client)
            with transaction.atomic():
                log.record(Action.TOKEN_ISSUED, by=here.agent.principal, about=[f"token:{row.pk}"])
            order = [(node, second), (second, node)] * 3
            threads = [Thread(target=calls_until_denied, args=(each, here, token, outcomes)) for each in order]
            for thread in threads:
                thread.start()
            waits.until(lambda: len(server.calls) > 6)

            revocation.revoke(Target(kind, TARGETS[kind](here)), by=SYSTEM, reason="a round of revoking")

            for thread in threads:
                thread.join(waits.SECONDS)
            assert len(outcomes) == 6
            server.requests.clear()
        waits.until(no_call_without_an_end)
    archive.seal()

    call_command("invariants")


def no_call_without_an_end() -> bool:
    return not calls_without_an_end()


def calls_without_an_end() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(UNENDED)
        rows: list[tuple[object, ...]] = cursor.fetchall()
        return rows
