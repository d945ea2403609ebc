"""What a system of 2026 asks for in its answer, asked of a legacy client on the stream of its call (GW-11, GW-20).

The questions go out under sealed ids of ours, as what a legacy system asks does, and are recorded as that is. An answer
may come to any node, which leaves it in the box of the call; the node that carries the call waits there. The system's
state goes back with the answers as it came, and no further (MCP 2026-07-28, Multi Round-Trip Requests).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from entitlements.gateway.conversation import client_sessions, server_messages
from entitlements.gateway.conversation.server_messages import Asked, Beside
from entitlements.gateway.http import encode
from entitlements.gateway.relay import InputMissing, InputRequest, InputRequired
from entitlements.keys import in_use
from entitlements.node.refusals import Closed, Refused
from entitlements.node_messages.messages import BoxFull

MOST_ROUNDS: Final = 10
"""How often a system may ask within one call: as often as the official SDKs let it."""
SESSION_SECONDS: Final = 2.0
"""How often it is looked whether the session of a call that waits goes on: when it is over, it can answer no more."""
_AGAIN_AFTER: Final = (0.05, 0.1, 0.2, 0.25)
"""Seconds until a system that asks for nothing is called again, as the official SDKs wait."""
_CLOSED: Final = -1
"""The place of what ends a box: nothing waits there any more."""

type Say = Callable[[bytes], Awaitable[None]]
"""Sends a message on the stream of the call. Raises TooLarge."""


class InputResponse(msgspec.Struct, frozen=True, array_like=True):
    """What lies in a box: the place of a question, its answer, and until when the token of who answered is good."""

    place: int
    said: dict[str, Any]
    token_until: float


read_response: Final = msgspec.json.Decoder(InputResponse).decode


@dataclass(slots=True)
class InputRequests:
    """All that one call asks its client for."""

    beside: Beside
    _rounds: int = 0

    async def ask(self, required: InputRequired, say: Say) -> tuple[dict[str, Any], float]:
        """Ask everything at once; return what the next try takes along, and until when the answer's token is good.

        Raises InputMissing, TooLarge, Closed.
        """
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise InputMissing(f"The system asks more than {MOST_ROUNDS} times within one call.")
        state = {} if required.state is None else {"requestState": required.state}
        if not required.questions:
            await asyncio.sleep(_AGAIN_AFTER[min(self._rounds, len(_AGAIN_AFTER)) - 1])
            return state, 0.0
        await self.beside.check([(each.method, each.params) for each in required.questions.values()])
        box = _Box(self.beside, uuid4(), say, [*required.questions.values()])
        try:
            responses = await box.responses()
        except in_use.KeyMissing as why:
            raise InputMissing(why.message) from why
        named = zip(required.questions, responses, strict=True)
        answers = {name: _result(question, each) for (name, each), question in zip(named, box.questions, strict=True)}
        return {"inputResponses": answers, **state}, max(each.token_until for each in responses)


class _Box:
    """One round of questions, and the box where their answers arrive."""

    def __init__(self, beside: Beside, box: UUID, say: Say, questions: list[InputRequest]) -> None:
        self.beside, self.box, self.say, self.questions = beside, box, say, questions
        self._open: dict[int, str] = {}
        """The ids of what was asked and is not answered, by place."""
        self._answered: dict[int, InputResponse] = {}

    async def responses(self) -> list[InputResponse]:
        """Ask, wait, and return the answers in the order of the questions. Raises InputMissing, KeyMissing, Closed."""
        try:
            for place, question in enumerate(self.questions):
                await self._ask(place, question)
            async with asyncio.timeout(server_messages.ANSWERABLE_SECONDS):
                await self._wait()
        except TimeoutError as why:
            raise InputMissing("The client did not answer in time.") from why
        finally:
            await self._close()
        return [self._answered[place] for place in range(len(self.questions))]

    async def _ask(self, place: int, question: InputRequest) -> None:
        beside, params = self.beside, _of_2025(question)
        assert beside.session is not None  # noqa: S101 - for the type checker: `check` refused
        until = beside.node.now() + server_messages.ANSWERABLE_SECONDS
        where = self.box, beside.node.name
        asked = Asked(beside.session.id, beside.entry.slug, "", encode(place), question.method, until, *where)
        await beside.record(question.method, question.params)
        self._open[place] = await beside.sealed(asked)
        await self.say(encode({"jsonrpc": "2.0", "id": self._open[place], "method": question.method, "params": params}))

    async def _wait(self) -> None:
        """Wait for all answers. Raises InputMissing when one is an error that no answer can say, or none can come."""
        reading = asyncio.ensure_future(self._read())
        try:
            while not (await asyncio.wait({reading}, timeout=SESSION_SECONDS))[0]:
                await self._check_session()
            reading.result()
        finally:
            reading.cancel()

    async def _read(self) -> None:
        async for _, body in self.beside.node.messages.follow(self.box):
            response = read_response(body)
            if self._open.pop(response.place, None) is not None:
                self._answered[response.place] = response
                _result(self.questions[response.place], response)
            if not self._open:
                return

    async def _check_session(self) -> None:
        assert self.beside.session is not None  # noqa: S101 - as above
        try:
            await client_sessions.check(self.beside.node, self.beside.session)
        except Closed:
            return  # we cannot know now; the lease decides
        except Refused as why:
            raise InputMissing("The session that could have answered is over.") from why

    async def _close(self) -> None:
        """Tell the client which questions wait for no answer any more, and refuse an answer that still comes."""
        if not self._open:
            return
        for sealed in self._open.values():
            said = {"requestId": sealed, "reason": "The call that asked has ended."}
            with contextlib.suppress(Refused):
                await self.say(encode({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": said}))
        body = encode(InputResponse(_CLOSED, {}, 0.0))
        with contextlib.suppress(Closed, BoxFull, in_use.KeyMissing):
            await self.beside.node.messages.put(self.box, body, server_messages.ANSWERABLE_SECONDS)


def is_settled(bodies: Iterable[bytes], place: int) -> bool:
    """Say whether a box needs no answer to a question any more: it has one, or is closed."""
    return any(read_response(body).place in (place, _CLOSED) for body in bodies)


def _result(question: InputRequest, response: InputResponse) -> dict[str, Any]:
    """Return an answer as the system takes it, which knows no errors. Raises InputMissing.

    A person who was not asked in the end has dismissed the question; there is no such answer of a model or for roots.
    """
    if "result" in response.said:
        return dict(response.said["result"])
    if question.method == "elicitation/create":
        return {"action": "cancel"}
    error = response.said["error"]
    said = f"{error.get('message', '')}"[:200]
    raise InputMissing(f"The client answered {question.method} with the error {error['code']}: {said}")


def _of_2025(question: InputRequest) -> dict[str, Any]:
    """Return the params of a question as a legacy client knows them: an address to open has an id there."""
    params = question.params
    if question.method == "elicitation/create" and params.get("mode") == "url":
        return {"elicitationId": str(uuid4()), **params}
    return params
