"""Whether a call of a tool may become a task, as its approved definition says. Pure.

In the protocol of 2025 the caller asks for a task, and each tool says whether it can be asked
(`execution.taskSupport`). In that of 2026 the server decides, of any tool; that it may is a capability of the server,
which discovery notes at each tool. So a server that begins to answer with tasks is looked at as one whose tools change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

EXTENSION: Final = "io.modelcontextprotocol/tasks"
_META: Final = "_meta"
_ASKABLE: Final = frozenset({"optional", "required"})


@dataclass(frozen=True, slots=True)
class TaskSupport:
    """Who may make a call a task: the caller that asks for one (2025), the system by itself (2026)."""

    by_caller: bool = False
    by_system: bool = False


NO_TASKS: Final = TaskSupport()


def noted(tools: list[dict[str, Any]], capabilities: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tools of a server, each with the note that the server answers with tasks, if it says so."""
    extensions = capabilities.get("extensions")
    if not isinstance(extensions, Mapping) or EXTENSION not in extensions:
        return tools
    return [_with_note(tool) for tool in tools]


def of(definition: Mapping[str, Any]) -> TaskSupport:
    """Read a definition."""
    execution, meta = definition.get("execution"), definition.get(_META)
    asked = execution.get("taskSupport") if isinstance(execution, Mapping) else None
    return TaskSupport(
        by_caller=isinstance(asked, str) and asked in _ASKABLE,
        by_system=isinstance(meta, Mapping) and EXTENSION in meta,
    )


def _with_note(tool: dict[str, Any]) -> dict[str, Any]:
    meta = tool.get(_META, {})
    return {**tool, _META: {**meta, EXTENSION: {}}} if isinstance(meta, Mapping) else tool
