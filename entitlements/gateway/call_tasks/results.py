"""What a client reads of a system's tasks: the same, under the client's own ids, and for no longer than those open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from entitlements.gateway.call_tasks import negotiation, session_tasks, task_ids
from entitlements.gateway.call_tasks.task_ids import Task
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.messages import Call
from entitlements.node.directory import ServedSystem
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress

_TASK: Final = b'"task"'
_any: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Creation:
    """Reads the answer to a call of a tool, which may be a task."""

    exchange: Exchange
    entry: ServedSystem
    call: Call
    arguments: dict[str, Any]
    is_task: bool = False

    async def shown(self, result: bytes, connection: Connection) -> bytes:
        """Return the answer, a task under an id of ours. Raises Unreachable for a task that was not asked for, Closed.

        What a system of 2025 answers without a task is no task, whatever was asked.
        """
        if _TASK not in result:
            return result
        members = _any.decode(result)
        if connection.conversation.is_modern:
            if members.get("resultType") != "task":
                return result
            await self._take(members)
        elif not self.call.is_modern and negotiation.is_asked(self.call) and isinstance(members.get("task"), dict):
            await self._take(members["task"])
        else:
            return result
        return _encode(members)

    def structured(self, result: bytes) -> object:
        """Return the structured content: a task has none yet."""
        return None if self.is_task else structured(_any.decode(result))

    async def _take(self, said: dict[str, Any]) -> None:
        """Put our id into what a system says of a new task."""
        own_id = said.get("taskId")
        if not negotiation.is_asked(self.call) or not isinstance(own_id, str):
            raise egress.Unreachable("The system answered with a task that was not asked for, or that has no id.")
        if not 0 < len(own_id) <= task_ids.LONGEST_OF_SYSTEM:
            raise egress.Unreachable("The system's task has an id that is too long.")
        self.is_task = True
        task = task_ids.made(self.exchange, self.entry, self.arguments, own_id)
        name = await task_ids.sealed(self.exchange.node, task)
        await session_tasks.keep(self.exchange.node, task, name)
        session_tasks.rename(said, task, name)


@dataclass(slots=True)
class State:
    """Reads the answers to requests about one task, which its client knows under a name."""

    task: Task
    name: str
    has_result: bool
    """Whether the answer is the result of the call itself (`tasks/result`)."""

    async def shown(self, result: bytes, connection: Connection) -> bytes:  # noqa: ARG002 - as the protocol says it
        """Return the answer under the client's id. Raises Unreachable where it is about another task."""
        members = _any.decode(result)
        if not self.has_result and members.get("taskId", self.task.id) != self.task.id:
            raise egress.Unreachable("The system answered about another task.")
        for each in (members, members.get("result")):
            if isinstance(each, dict):
                session_tasks.relate(each, {self.task.id: self.name})
        if not self.has_result and "taskId" in members:
            session_tasks.rename(members, self.task, self.name)
        return _encode(members)

    def structured(self, result: bytes) -> object:
        """Return the structured content of the call's result, None while there is none."""
        members = _any.decode(result)
        found = members if self.has_result else members.get("result")
        return structured(found) if isinstance(found, dict) and not found.get("isError") else None


def structured(result: dict[str, Any]) -> object:
    """Return the structured content of a call's result."""
    return result.get("structuredContent", {})
