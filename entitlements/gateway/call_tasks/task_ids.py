"""The ids of tasks that clients know: what a task is stands in its id, sealed, so that any node opens it without a row.

An id holds the system's own id, whose task it is, and the call that made it with its arguments, so that each request
about the task is decided as that call. Only the caller that made the call opens it, at the address where it was made
and, of 2025, in the session in which it was made. It opens for as long as anything sealed does (`session_keys.LIFE`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec

from entitlements.codes import Code
from entitlements.gateway.exchange import Exchange
from entitlements.keys import in_use, session_keys
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused

PURPOSE: Final = "task"
LONGEST_OF_SYSTEM: Final = 512
"""Characters of a system's own id."""
_LARGEST: Final = 3 * 1024
"""Bytes of packed arguments: a client of 2026 repeats the id in a header, and servers take some 8,000 bytes of one."""
_LONGEST: Final = 8 * 1024


class Task(msgspec.Struct, frozen=True, array_like=True):
    """What the id of a task holds. `at` is the address at which the call was made, `arguments` are packed.

    `evaluation` is the decision about the call; `made` and `until` are epoch seconds.
    """

    id: str
    at: str
    system: str
    tool: str
    agent: str
    person: str | None
    client: str
    session: UUID | None
    arguments: bytes
    evaluation: str
    made: float
    until: float

    @property
    def called_with(self) -> dict[str, Any]:
        """The arguments of the call that made it."""
        return _read_arguments(zlib.decompress(self.arguments))

    @property
    def milliseconds(self) -> int:
        """How long it can be asked about, from its making."""
        return int((self.until - self.made) * 1000)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Task).decode
_write_arguments: Final = msgspec.json.Encoder().encode
_read_arguments: Final = msgspec.json.Decoder(dict[str, Any]).decode


def holds(arguments: Mapping[str, Any]) -> bool:
    """Whether an id can hold these arguments."""
    return len(_packed(arguments)) <= _LARGEST


def made(exchange: Exchange, entry: ServedSystem, arguments: Mapping[str, Any], own_id: str) -> Task:
    """Return the task that a system made of the call of an exchange. Raises Closed."""
    node, bearer, about, session = exchange.node, exchange.bearer, exchange.about, exchange.session
    now = node.now()
    until = now + session_keys.LIFE.total_seconds()
    return Task(
        own_id, exchange.entry.slug, entry.slug, about.tool, bearer.agent, bearer.person, bearer.client,
        None if session is None else session.id, _packed(arguments), about.evaluation,
        now, until if session is None else min(until, session.until),
    )  # fmt: skip


async def sealed(node: Node, task: Task) -> str:
    """Return the id under which a client knows a task. Raises Closed."""
    try:
        return await session_keys.sealed(node.reads(), _encode(task), purpose=PURPOSE)
    except in_use.KeyMissing as why:
        raise Closed(Code.FEED_UNKNOWN, why.message) from why


async def unsealed(node: Node, name: str) -> Task | None:
    """Return what an id holds, whosever it is; None where it is none of ours, or too old. Raises Closed."""
    try:
        return _decode(await session_keys.opened(node.reads(), name, purpose=PURPOSE))
    except (session_keys.NotOurs, msgspec.MsgspecError):
        return None


async def opened(exchange: Exchange, name: object) -> Task:
    """Return the task that this caller knows under a name. Raises Refused for what is no task of its own, Closed."""
    if not isinstance(name, str) or len(name) > _LONGEST:
        raise Refused(Code.MALFORMED_CALL, "The request names no task.")
    task = await unsealed(exchange.node, name)
    session = None if exchange.session is None else exchange.session.id
    if task is None or (task.agent, task.person, task.client) != exchange.bearer.key or task.session != session:
        raise unknown(exchange)
    if task.at != exchange.entry.slug or not exchange.node.now() < task.until:
        raise unknown(exchange)
    return task


def unknown(exchange: Exchange) -> Refused:
    """Say that there is no such task, to a client of 2025 in an answer that it reads."""
    return Refused(Code.TASK_UNKNOWN, status=None if exchange.is_modern else HTTPStatus.OK)


def _packed(arguments: Mapping[str, Any]) -> bytes:
    return zlib.compress(_write_arguments(arguments))
