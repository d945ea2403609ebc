"""A server with the tasks extension of 2026-07-28, by the official SDK, which knows extensions and not yet this one.

`python -m tests.conformance.tasks_server PORT`; its tools are those that the conformance suite wants. `/seen` tells
what arrived and how each task stands, `/release` lets `wait` go on.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    RequestParams,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

EXTENSION: Final = "io.modelcontextprotocol/tasks"
CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
REQUIRED: Final = frozenset({"failing_job", "test_tool_with_task"})
NAME: Final[dict[str, Any]] = {"type": "object", "properties": {"name": {"type": "string"}}}
tasks: dict[str, Task] = {}
arrived: list[str] = []
released = asyncio.Event()


@dataclass
class Task:
    """One task, and what runs it."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "working"
    more: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    running: asyncio.Task[None] | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def described(self) -> dict[str, Any]:
        times = {"createdAt": self.created, "lastUpdatedAt": datetime.now(UTC).isoformat()}
        return {"taskId": self.id, "status": self.status, **times, "ttlMs": 600_000, "pollIntervalMs": 100}

    async def asks(self, *keys: str) -> dict[str, Any]:
        """Ask the client, and wait for all answers."""
        question = {"mode": "form", "message": "Please say.", "requestedSchema": NAME}
        waiting = {key: {"method": "elicitation/create", "params": question} for key in keys}
        self.status, self.more = "input_required", {"inputRequests": waiting}
        while waiting:
            await self.answered.wait()
            self.answered.clear()
            for key in [key for key in waiting if key in self.answers]:
                del waiting[key]
        self.status, self.more = "working", {}
        return self.answers


type Job = Callable[[Task, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]


def text(value: str, **more: object) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}], **more}


async def slow_compute(_task: Task, arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(arguments.get("seconds", 0))
    return text(f"Computed {arguments.get('label', '')}.", structuredContent={"rows": [1, 2, 3]})


async def wait(_task: Task, arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await released.wait()
    return text(f"Waited: {arguments.get('label', '')}.", structuredContent={"rows": [1, 2, 3]})


async def failing_job(_task: Task, _arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.2)
    return text("It failed.", isError=True)


async def protocol_error_job(_task: Task, _arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    raise ValueError("Something broke.")


async def confirm_delete(task: Task, arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await task.asks("confirm")
    return text(f"Deleted {arguments.get('filename')}.")


async def multi_input(task: Task, _arguments: dict[str, Any], _given: dict[str, Any]) -> dict[str, Any]:
    await task.asks("first", "second")
    return text("Both are known.")


async def greet_later(_task: Task, _arguments: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    return text(f"Hello, {given['user_name'].content['name']}!")


_JOBS: Final[tuple[Job, ...]] = (slow_compute, wait, failing_job, protocol_error_job, confirm_delete, multi_input)
JOBS: Final[dict[str, Job]] = {job.__name__: job for job in _JOBS} | {"test_tool_with_task": greet_later}


async def run(task: Task, job: Job, arguments: dict[str, Any], given: dict[str, Any]) -> None:
    try:
        task.more = {"result": await job(task, arguments, given)}
        task.status = "completed"
    except asyncio.CancelledError:
        task.status, task.more = "cancelled", {}
    except ValueError as why:
        task.status, task.more = "failed", {"error": {"code": -32603, "message": str(why)}}


def is_declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    meta: dict[str, Any] = dict(ctx.meta or {})
    capabilities = meta.get(CAPABILITIES) or {}
    return EXTENSION in (capabilities.get("extensions") or {})


def missing() -> MCPError:
    needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
    return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", needed)


class TaskParams(RequestParams):
    """What names a task."""

    taskId: str  # noqa: N815 - the protocol's name
    inputResponses: dict[str, Any] | None = None  # noqa: N815


class Tasks(Extension):
    """The extension."""

    identifier = EXTENSION

    def methods(self) -> Sequence[MethodBinding]:
        """Serve requests about tasks."""
        served = {"tasks/get": self._get, "tasks/update": self._update, "tasks/cancel": self._cancel}
        return [MethodBinding(name, TaskParams, handler) for name, handler in served.items()]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer with a task where the tool makes one and the client knows what that is."""
        arrived.append(f"tools/call {params.name}")
        job, given = JOBS.get(params.name), dict(params.input_responses or {})
        if job is None or (params.name == "test_tool_with_task" and is_declared(ctx) and not given):
            return await call_next(ctx)
        if not is_declared(ctx):
            if params.name in REQUIRED:
                raise missing()
            return await call_next(ctx)
        task = Task()
        tasks[task.id] = task
        task.running = asyncio.create_task(run(task, job, params.arguments or {}, given))
        return {"resultType": "task", **task.described()}

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        task = self._found(ctx, params, "tasks/get")
        return {**task.described(), **task.more}

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        task = self._found(ctx, params, "tasks/update")
        task.answers |= params.inputResponses or {}
        task.answered.set()
        await asyncio.sleep(0.05)
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        task = self._found(ctx, params, "tasks/cancel")
        if task.running is not None:
            task.running.cancel()
        return {}

    def _found(self, ctx: ServerRequestContext[Any, Any], params: TaskParams, method: str) -> Task:
        arrived.append(f"{method} {params.taskId}")
        if not is_declared(ctx):
            raise missing()
        if params.taskId not in tasks:
            raise MCPError(INVALID_PARAMS, "Task not found")
        return tasks[params.taskId]


server = MCPServer("tasks", extensions=[Tasks()])


@server.tool()
def greet(name: str) -> str:
    """Greet by name."""
    return f"Hello, {name}!"


@server.tool(name="slow_compute")
async def _slow_compute(seconds: int, label: str = "") -> str:
    """Compute for some seconds."""
    await asyncio.sleep(seconds)
    return f"Computed {label}."


@server.tool(name="wait")
async def _wait(label: str = "") -> str:
    """Wait until the test releases it."""
    return f"Waited: {label}."


@server.tool(name="failing_job")
async def _failing_job() -> str:
    """Fail."""
    return "It failed."


@server.tool(name="protocol_error_job")
async def _protocol_error_job() -> str:
    """Break."""
    return "It broke."


@server.tool(name="confirm_delete")
async def _confirm_delete(filename: str) -> str:
    """Delete a file after a question."""
    return f"Not deleted: {filename}."


@server.tool(name="multi_input")
async def _multi_input() -> str:
    """Ask two questions."""
    return "Nothing is known."


@server.tool(name="test_tool_with_task")
async def _test_tool_with_task(ctx: Context) -> str | InputRequiredResult:
    """Ask for a name before the task begins."""
    given = ctx.input_responses or {}
    if isinstance(given.get("user_name"), ElicitResult):
        return "Hello."
    asked = ElicitRequest(params=ElicitRequestFormParams(message="Your name?", requested_schema=NAME))
    return InputRequiredResult(input_requests={"user_name": asked})


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


@server.custom_route("/seen", methods=["GET"])
async def seen(_: Request) -> Response:
    """Tell what arrived, and how each task stands, in order."""
    return JSONResponse({"arrived": arrived, "tasks": {task.id: task.status for task in tasks.values()}})


@server.custom_route("/release", methods=["POST"])
async def release(_: Request) -> Response:
    """Let those that wait go on."""
    released.set()
    return PlainTextResponse("ok")


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="localhost", port=int(sys.argv[1]), log_level="warning")
