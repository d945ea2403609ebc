"""A call of a stateless client that waits, open at this node, while its client answers what a legacy upstream asks.

The client hears the question as the answer to its request (`input_required`, MCP 2026-07-28) and makes the request
again with its answers and our request state. Each such request is one part of the call, and gets what the upstream says
until it asks again or answers. While no client is here, what the upstream says waits, questions aside.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.gateway import answers
from entitlements.gateway.conversation import server_messages
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import JSON, NO_STORE, Answer, Message, Receive, Request, Stream, encode
from entitlements.gateway.messages import Call
from entitlements.keys import in_use, session_keys
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Closed, Refused
from entitlements.node.shared.client_offers import Offers
from entitlements.node.shared.waiting_calls import Key
from entitlements.node.streams import OpenRequest
from entitlements.node.upstreams import CALL_SECONDS, Connection

PURPOSE: Final = "request-state"
METHODS: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
"""What may be answered with a question (MCP 2026-07-28, multi round-trip requests)."""
RETRY: Final = ("inputResponses", "requestState")
"""The params that a request has when it is made again; the others stay as they were."""
ANSWER_SECONDS: Final = 180.0
"""How long a call waits for its client, each time."""
END_SECONDS: Final = 10.0
"""What is left of the time of a call when it waits for its client no longer."""
NOT_ANSWERED: Final = "the client did not answer"
_PROGRESS: Final = b"notifications/progress"

logger = logging.getLogger(__name__)


class RequestState(msgspec.Struct, frozen=True, array_like=True):
    """What a request state holds: which call of whom waits, at which node, for which answers, until when.

    `params` is a digest of what the client sends again as it was, `evaluation` the id of the decision about the call.
    `turn` counts how often the client was asked: each request state is for one answer.
    """

    call: UUID
    turn: int
    agent: str
    person: str | None
    client: str
    system: str
    method: str
    params: str
    evaluation: str
    node: str
    run: UUID
    address: str
    until: float

    @property
    def key(self) -> Key:
        """Whose call it is."""
        return self.agent, self.person, self.client


_encode: Final = msgspec.json.Encoder().encode
_sorted: Final = msgspec.json.Encoder(order="deterministic").encode
read_state: Final = msgspec.json.Decoder(RequestState).decode


@dataclass(slots=True, eq=False)
class Part:
    """One request of a client for a call, and where its answer goes. `progress` is its progress token.

    It is `over` when the client has been asked something, or the call is over.
    """

    stream: Stream
    request_id: bytes
    progress: object
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Question:
    id: str | int
    asked: Mapping[str, Any]
    connection: Connection


class WaitingCall:
    """One call: what answers its door and hears its upstream, whichever request of the client is there."""

    def __init__(self, exchange: Exchange, entry: ServedSystem, call: Call, offers: Offers, stream: Stream) -> None:
        self.id, self.offers = uuid4(), offers
        self._node, self._about, self._entry, self._call = exchange.node, exchange.about, entry, call
        self._began = time.monotonic()
        self._first = Part(stream, call.request_id, call.meta.get("progressToken"))
        self._part: Part | None = self._first
        self._questions: dict[str, _Question] = {}
        self._new: set[bytes] = set()
        self._numbers, self._turn, self._asked_at = 0, 0, 0.0
        self._changed, self._gone = asyncio.Event(), asyncio.Event()
        self._is_finished, self._is_over = False, False
        self._timer: asyncio.TimerHandle | None = None
        self._opened: OpenRequest | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def key(self) -> Key:
        """Whose call it is."""
        return self._about.bearer.key

    @property
    def policy_call(self) -> PolicyCall | None:
        """The question that was decided, once the call has waited."""
        return None if self._opened is None else self._opened.call

    # ---------------------------------------------------------------------------------- the requests of the client

    async def run(self, carry_out: Callable[[], Awaitable[None]], request: Request) -> None:
        """Carry the call out, and return when its first request is answered. Raises what that raises until then."""
        receive, request.receive = request.receive, self._until_left
        self._task = asyncio.create_task(self._carry_out(carry_out))
        await self.attend(self._first, receive)

    def take_up(self, turn: int, part: Part) -> None:
        """Let a request of the client go on with the call. Raises Refused where it waits for another, or for none."""
        if self._is_past:
            raise Refused(Code.CALL_OVER)
        if self._part is not None or turn != self._turn:
            raise Refused(Code.REQUEST_STATE_INVALID)
        self._part = part
        self._stop_waiting()

    async def go_on(self, part: Part, said: Mapping[str, Any]) -> None:
        """Give the upstream what the client answered; what is not answered is asked again."""
        part.stream.keep_alive()
        answered = [(self._questions.pop(name), said[name]) for name in said if name in self._questions]
        for question, answer in answered:
            await server_messages.reply(question.connection, question.id, {"result": answer})
        if self._questions and self._part is part:
            await self._ask(part)
        self._changed.set()

    async def attend(self, part: Part, receive: Receive) -> None:
        """Return when a request of the client is answered; a client that goes away before cancels the call (GW-6).

        Raises what carrying out the call raises.
        """
        assert self._task is not None  # noqa: S101 - for the type checker: it runs
        over = asyncio.ensure_future(part.over.wait())
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({self._task, over, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not part.over.is_set() and not self._task.done():
                self.leave()
                await asyncio.wait({self._task, over}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        finally:
            over.cancel()
            gone.cancel()
        if self._task.done():
            self._task.result()

    def leave(self) -> None:
        """End the call: the client that was here has gone away."""
        self._gone.set()

    async def _carry_out(self, carry_out: Callable[[], Awaitable[None]]) -> None:
        try:
            await carry_out()
        except Exception:
            if self._turn:
                logger.exception("waiting_call_failed")
            raise
        finally:
            self.close()

    async def _until_left(self) -> Message:
        """Say that the client has gone, once it has while one of its requests was here."""
        await self._gone.wait()
        return {"type": "http.disconnect"}

    # -------------------------------------------------------------------------------------- what the upstream asks

    def has_room(self) -> bool:
        """Whether the call may wait for its client."""
        return self._call.method in METHODS and self._seconds() > 0 and self._node.waiting.has_room(self)

    def question(self, request_id: str | int, method: str, params: Mapping[str, Any], connection: Connection) -> bytes:
        """Return what asks the client, for `event`."""
        self._numbers += 1
        name = f"question-{self._numbers}"
        asked: dict[str, Any] = {"method": method, **({"params": params} if params else {})}
        self._questions[name] = _Question(request_id, asked, connection)
        message = encode({name: asked})
        self._new.add(message)
        return message

    def withdraw(self, request_id: object) -> None:
        """Forget what the upstream does not ask any more; an answer to it is dropped."""
        for name in [name for name, question in self._questions.items() if question.id == request_id]:
            del self._questions[name]

    # ------------------------------------------------------------------------- where the answers of the upstream go

    async def event(self, message: bytes) -> None:
        """Ask the client, or let it hear a notification, once it is here."""
        if message in self._new:
            self._new.remove(message)
            if self._part is not None:
                await self._ask(self._part)
        elif (part := await self._client()) is not None and (said := self._said(part, message)) is not None:
            await part.stream.event(said)

    async def finish(self, answer: Answer) -> None:
        """Answer the call, once the client is here; one that comes no more misses it."""
        self._questions.clear()
        part = await self._client()
        if part is None or self._is_finished:
            return
        self._is_finished, body, begin = True, answer.body, answers.begin(self._call.request_id)
        if part is not self._first and body.startswith(begin):
            body = answers.begin(part.request_id) + body[len(begin) :]
        await part.stream.finish(Answer(answer.status, body, answer.headers))

    async def pause(self, seconds: float) -> None:
        """Stay: a stateless client comes back for no stream."""

    def keep_alive(self) -> None:
        """Keep the connection of the client alive that is here."""
        if self._part is not None:
            self._part.stream.keep_alive()

    def close(self) -> None:
        """Do nothing more: the call is over."""
        self._is_over = True
        self._changed.set()
        self._stop_waiting()
        self._node.waiting.remove(self)
        if self._part is not None:
            self._part.stream.close()
            self._part.over.set()

    async def _client(self) -> Part | None:
        """Return the request of the client that is here, once one is; None where the call ends without."""
        while self._part is None and not self._is_past:
            self._changed.clear()
            await self._changed.wait()
        return self._part

    def _said(self, part: Part, message: bytes) -> bytes | None:
        """Name progress as this request of the client does; one without a token hears of none."""
        if part is self._first or _PROGRESS not in message:
            return message
        decoded = msgspec.json.decode(message)
        if part.progress is None:
            return None
        decoded["params"]["progressToken"] = part.progress
        return encode(decoded)

    # ------------------------------------------------------------------------------------------------ how it waits

    @property
    def _is_past(self) -> bool:
        return self._is_over or (self._opened is not None and bool(self._opened.stop))

    def _seconds(self) -> float:
        """Return how long the call may wait from now on."""
        return min(ANSWER_SECONDS, CALL_SECONDS - END_SECONDS - (time.monotonic() - self._began))

    async def _ask(self, part: Part) -> None:
        """Answer the request that is here with all that is asked. The next one goes on with the call."""
        self._part = None
        self._turn, self._asked_at = self._turn + 1, time.monotonic()
        seconds = self._seconds()
        self._opened = next(each for each in self._node.opened.of(self.key[0]) if each.task is self._task)
        self._node.waiting.add(self)
        self._node.isolation.wait_for_client(self._entry.slug, self._about.bearer.caller)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._miss)
        try:
            answer = await self._question_answer(part, seconds)
        except (in_use.KeyMissing, Closed) as why:
            answer = answers.refused(Closed(Code.FEED_UNKNOWN, why.message), part.request_id)
            self._miss()
        await part.stream.finish(answer)
        part.over.set()

    async def _question_answer(self, part: Part, seconds: float) -> Answer:
        node = self._node
        state = RequestState(
            self.id, self._turn, *self.key, self._entry.slug, self._call.method, digest(self._call),
            self._about.evaluation, node.name, node.places.run, node.places.address, node.now() + seconds,
        )  # fmt: skip
        sealed = await session_keys.sealed(node.reads(), _encode(state), purpose=PURPOSE)
        asked = {name: question.asked for name, question in self._questions.items()}
        said = {"resultType": "input_required", "inputRequests": asked, "requestState": sealed}
        return Answer(HTTPStatus.OK, answers.result(part.request_id, encode(said)), (JSON, NO_STORE))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            assert self._opened is not None  # noqa: S101 - for the type checker: it has asked
            self._opened.waited += time.monotonic() - self._asked_at
            self._node.isolation.count_again(self._entry.slug, self._about.bearer.caller)

    def _miss(self) -> None:
        """End the call: its client did not come in time."""
        self._stop_waiting()
        self._is_over = True
        self._changed.set()
        if self._opened is not None:
            self._opened.end(NOT_ANSWERED)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def digest(call: Call) -> str:
    """Return a digest of what a client sends again as it was: all params but its answers, our state and `_meta`."""
    kept = {name: value for name, value in call.params.items() if name not in RETRY and name != "_meta"}
    return hashlib.sha256(_sorted(kept)).hexdigest()
