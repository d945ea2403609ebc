"""The tasks of a session of 2025, as its client knows them, at whichever node.

What a system says unasked of a task names it by its own id, which does not say whose it is. So the ids of a session's
tasks are kept in a box of messages between nodes, for as long as they open; a session with more than such a box holds
has tasks that are not listed and of which nothing is heard unasked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from entitlements.codes import Code
from entitlements.gateway.call_tasks import task_ids
from entitlements.gateway.call_tasks.task_ids import Task
from entitlements.keys import in_use
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node_messages.messages import BoxFull

RELATED: Final = "io.modelcontextprotocol/related-task"
"""The `_meta` key by which a message of 2025 says to which task it belongs."""
STATUS: Final = "notifications/tasks/status"
_LASTS: Final = ("ttl", "ttlMs")
_NAMED: Final = b"askId"
"""What every message holds that names a task."""
_read: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode


async def keep(node: Node, task: Task, name: str) -> None:
    """Let every node know a new task of a session; a task of no session is known by its id alone. Raises Closed."""
    if task.session is None:
        return
    try:
        with contextlib.suppress(BoxFull):
            await node.messages.put(_box(task.session), name.encode(), task.until - task.made)
    except in_use.KeyMissing as why:
        raise Closed(Code.FEED_UNKNOWN, why.message) from why


async def of(node: Node, session: UUID) -> dict[str, Task]:
    """Return the tasks of a session by the client's id, in the order in which they were made. Raises Closed."""
    found: dict[str, Task] = {}
    after = 0
    while messages := await node.messages.read(_box(session), after):
        for number, body in messages:
            after, name = number, body.decode()
            if (task := await task_ids.unsealed(node, name)) is not None and task.session == session:
                found[name] = task
    return found


async def heard(node: Node, session: UUID, system: str, text: bytes) -> bytes | None:
    """Return what a system says under the ids that a client knows; None where it is about another caller's task."""
    if _NAMED not in text:
        return text
    message = _read(text)
    params = message.get("params")
    if not isinstance(params, dict):
        return text
    names = {task.id: (name, task) for name, task in (await of(node, session)).items() if task.system == system}
    if message.get("method") == STATUS:
        if (known := names.get(str(params.get("taskId")))) is None:
            return None
        rename(params, known[1], known[0])
    relate(params, {own_id: name for own_id, (name, _) in names.items()})
    return _encode(message)


def rename(said: dict[str, Any], task: Task, name: str) -> None:
    """Put the client's id into what a system says of a task, and how long the client can ask about it at most."""
    said["taskId"] = name
    for member in _LASTS:
        if member in said:
            lasts = said[member]
            is_shorter = isinstance(lasts, int | float) and lasts <= task.milliseconds
            said[member] = lasts if is_shorter else task.milliseconds


def relate(said: dict[str, Any], names: dict[str, str]) -> None:
    """Translate the task to which a message says it belongs, by `names`; one that is not there is left out."""
    meta = said.get("_meta")
    if not isinstance(meta, dict) or RELATED not in meta:
        return
    related = meta[RELATED]
    name = names.get(str(related.get("taskId"))) if isinstance(related, dict) else None
    others = {key: value for key, value in meta.items() if key != RELATED}
    said["_meta"] = others if name is None else {**others, RELATED: {"taskId": name}}


async def answered(node: Node, session: UUID, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a client's answer as the system is to get it: with the system's own id of the task. Raises Closed."""
    result = said.get("result")
    if not isinstance(result, dict) or not isinstance(meta := result.get("_meta"), dict) or RELATED not in meta:
        return said
    result = dict(result)
    relate(result, {name: task.id for name, task in (await of(node, session)).items()})
    return {**said, "result": result}


def _box(session: UUID) -> UUID:
    return uuid5(session, "tasks")
