"""tasks/list of 2025: what systems list of the session's tasks, as far as the caller could still ask about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from entitlements.codes import METHOD_NOT_FOUND, Code
from entitlements.gateway.call_tasks import session_tasks
from entitlements.gateway.call_tasks.task_ids import Task
from entitlements.gateway.conversation import replies
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused
from entitlements.upstream import egress

_METHOD: Final = "tasks/list"
_MOST_PAGES: Final = 20
type Known = Mapping[str, tuple[str, Task]]
"""Tasks, with the client's ids, by their systems' own ids."""


async def answer(exchange: Exchange) -> None:
    """Answer with all of them in one page. Raises Refused, Closed."""
    if "cursor" in exchange.call.params:
        raise Refused(Code.MALFORMED_CALL, "There is no such cursor.")
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        await exchange.deny(verdict)
        return
    assert exchange.session is not None  # noqa: S101 - for the type checker: only the era of sessions has this method
    by_system: dict[str, dict[str, tuple[str, Task]]] = {}
    for name, task in (await session_tasks.of(exchange.node, exchange.session.id)).items():
        if await _may_ask(exchange, task):
            by_system.setdefault(task.system, {})[task.id] = name, task
    listed: list[dict[str, Any]] = []
    for system, known in by_system.items():
        if (entry := await exchange.node.directory.get(system)) is not None:
            listed += await _at_system(exchange, exchange.session, entry, known)
    await exchange.answer({"tasks": listed})


async def _may_ask(exchange: Exchange, task: Task) -> bool:
    asked = exchange.bearer.asks(task.system, task.tool, task.called_with)
    verdict, _ = await exchange.node.decide(asked)
    return verdict.allowed and exchange.node.now() < task.until


async def _at_system(
    exchange: Exchange, session: ClientSession, entry: ServedSystem, known: Known
) -> list[dict[str, Any]]:
    """Return what a system lists of these tasks; one that lists none has none. Raises Refused, Closed."""
    connection = await replies.open_connection(exchange, entry, session)
    if connection.conversation.is_modern:
        return []
    listed: list[dict[str, Any]] = []
    cursor: object = None
    for _ in range(_MOST_PAGES):
        try:
            page = await connection.conversation.ask(connection.http, _METHOD, {"cursor": cursor} if cursor else {})
        except egress.Unreachable as why:
            error = why.detail.get("error")
            if isinstance(error, Mapping) and error.get("code") == METHOD_NOT_FOUND:
                return []
            raise Refused(Code.UPSTREAM_UNAVAILABLE) from why
        listed += await _of_page(exchange, page, known)
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            break
    return listed


async def _of_page(exchange: Exchange, page: Mapping[str, Any], known: Known) -> list[dict[str, Any]]:
    said = page.get("tasks")
    tasks = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    own = [each for each in tasks if str(each.get("taskId")) in known]
    marks = await exchange.node.secrets.current()
    if owners := marks.owners_in_json(msgspec.json.encode(own)):
        exchange.node.recorder.eventually(leaks.event(exchange.about, owners))
        raise Refused(leaks.CODE)
    for each in own:
        name, task = known[str(each["taskId"])]
        session_tasks.rename(each, task, name)
    return own
