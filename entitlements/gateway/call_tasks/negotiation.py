"""Whether one call may become a task: what the client says of tasks, held against the approved definition of the tool.

MCP 2025-11-25 (tasks): the client asks for a task with the param `task`. Extension `io.modelcontextprotocol/tasks` of
2026-07-28: the client declares with each request that it understands tasks, and the system decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from entitlements.codes import Code
from entitlements.definitions.task_support import EXTENSION, NO_TASKS
from entitlements.gateway.call_tasks import task_ids
from entitlements.gateway.messages import Call
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused
from entitlements.upstream import upstream

DECLARED: Final[dict[str, Any]] = {"extensions": {EXTENSION: {}}}
"""What a client declares that understands tasks of 2026."""
_PARAM: Final = "task"


def is_declared(meta: Mapping[str, Any]) -> bool:
    """Whether a request of 2026 says that its client understands tasks."""
    return EXTENSION in _extensions(meta)


def check_declared(call: Call) -> None:
    """Refuse a request about a task by a client that does not understand tasks, as the extension wants it (-32021)."""
    if call.is_modern and not is_declared(call.meta):
        sentence = "The client does not declare that it understands tasks."
        raise Refused(Code.CAPABILITY_MISSING, sentence, data={"requiredCapabilities": DECLARED})


def agreed(call: Call, entry: ServedSystem, name: str, arguments: Mapping[str, Any]) -> Call:
    """Return a call of a tool as the system is to get it: it becomes a task where client and definition agree.

    A client that asks a system for a task of a tool which has none is told so; a system without any takes no notice
    (MCP 2025-11-25). Arguments that no id of a task could hold make no task. Raises Refused.
    """
    pinned = entry.tools.get(name)
    support = NO_TASKS if pinned is None else pinned.tasks
    if call.is_modern:
        is_kept = support.by_system and task_ids.holds(arguments)
        return _without_param(call) if is_kept or not is_declared(call.meta) else _undeclared(_without_param(call))
    if _PARAM not in call.params or not any(tool.tasks.by_caller for tool in entry.tools.values()):
        return _without_param(call)
    if pinned is not None and not support.by_caller:
        raise Refused(Code.UNKNOWN_METHOD, "The tool cannot be called as a task.", status=HTTPStatus.OK)
    if not task_ids.holds(arguments):
        raise Refused(Code.MALFORMED_CALL, "The arguments are too large for a call as a task.")
    return replace(call, params={**call.params, _PARAM: _terms(call.params[_PARAM])})


def is_asked(call: Call) -> bool:
    """Whether a call that was agreed may be answered with a task."""
    return is_declared(call.meta) if call.is_modern else _PARAM in call.params


def _terms(asked: object) -> dict[str, Any]:
    """Return what a client asks of a task: how long it is to be kept, in milliseconds. Raises Refused."""
    kept = asked.get("ttl", 0) if isinstance(asked, Mapping) else None
    if not isinstance(asked, Mapping) or isinstance(kept, bool) or not isinstance(kept, int | float) or kept < 0:
        raise Refused(Code.MALFORMED_CALL, "The param task is an object, and its ttl a number of milliseconds.")
    return {"ttl": kept} if "ttl" in asked else {}


def _without_param(call: Call) -> Call:
    if _PARAM not in call.params:
        return call
    return replace(call, params={name: value for name, value in call.params.items() if name != _PARAM})


def _undeclared(call: Call) -> Call:
    """Return a call whose client declares everything but that it understands tasks."""
    capabilities = call.meta[upstream.META_CAPABILITIES]
    others = {name: value for name, value in capabilities["extensions"].items() if name != EXTENSION}
    return replace(call, meta={**call.meta, upstream.META_CAPABILITIES: {**capabilities, "extensions": others}})


def _extensions(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    capabilities = meta.get(upstream.META_CAPABILITIES)
    found = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
    return found if isinstance(found, Mapping) else {}
