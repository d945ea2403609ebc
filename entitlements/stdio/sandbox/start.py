"""The gateway's side of one child: start it under its keeper, speak to it line by line, end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from entitlements.stdio.sandbox import bubblewrap, kernel
from entitlements.stdio.sandbox.plan import Plan

STDERR_BYTES = 2048
"""How much of what a child wrote to its standard error is kept: the end of it."""
START_SECONDS = 10.0
END_SECONDS = 5.0


class NotStarted(Exception):
    """No child: the keeper says why."""


class TooLong(Exception):
    """A line is longer than a message may be."""


class Child:
    """A running child. Its streams are read here alone; its holder ends it."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, lifeline: int, report: asyncio.StreamReader, longest: int
    ) -> None:
        self._process, self._lifeline, self._report = process, lifeline, report
        self._longest = longest
        self._tail = bytearray()
        self._draining = asyncio.create_task(self._drain())
        self.pid = 0
        self.ending: Mapping[str, Any] = {}
        """Why it ended and with which code, once `end` or `wait` returned."""

    @property
    def stderr(self) -> str:
        """Return the end of what it wrote to its standard error, as text."""
        return bytes(self._tail).decode(errors="replace")

    async def read(self) -> bytes | None:
        """Return the next line of its standard output; None at the end. Raises TooLong."""
        output = self._process.stdout
        assert output is not None  # noqa: S101 - a pipe was asked for
        try:
            return await output.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as problem:
            raise TooLong from problem

    async def write(self, line: bytes) -> None:
        """Hand it one line. Raises BrokenPipeError or ConnectionResetError when it has ended."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - as above
        stdin.write(line + b"\n")
        await stdin.drain()

    async def wait(self) -> Mapping[str, Any]:
        """Wait for its end. Returns what the keeper said of it."""
        while line := await self._report.readline():
            said = json.loads(line)
            if said["event"] == "ended":
                self.ending = said
        await self._process.wait()
        self.release()
        await self._draining
        return self.ending

    async def end(self) -> Mapping[str, Any]:
        """End it and all that it started: politely, then by force. It is not read any more. Returns as `wait` does."""
        stdin, output = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - as above
        assert output is not None  # noqa: S101 - as above
        stdin.close()
        self.release()
        try:
            async with asyncio.timeout(END_SECONDS):
                while await output.read(self._longest):
                    pass  # what it still says is not read
                return await self.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # the child's own keeper: its end is the child's
            return self.ending

    async def started(self) -> None:
        """Wait until it runs. Raises NotStarted."""
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._report.readline()
        except TimeoutError:
            line = b""
        refused: dict[str, Any] = {"event": "refused", "reason": "the keeper did not answer"}
        said = json.loads(line) if line else refused
        if said["event"] != "started":
            await self.end()
            raise NotStarted(f"{said['reason']}{': ' if self.stderr else ''}{self.stderr}")
        self.pid = said["process"]

    def release(self) -> None:
        """Close the lifeline: the keeper ends everything, whether or not anybody waits for it."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def _drain(self) -> None:
        errors = self._process.stderr
        assert errors is not None  # noqa: S101 - as above
        while piece := await errors.read(STDERR_BYTES):
            self._tail += piece
            del self._tail[:-STDERR_BYTES]


async def start(plan: Plan, *, longest_line: int) -> Child:
    """Start the plan's program under its keeper. `longest_line`: bytes of one message. Raises NotStarted."""
    if wrong := plan.problem():
        raise NotStarted(wrong)
    described, (held, lifeline), (reading, report) = _described(plan), os.pipe(), os.pipe()
    ours, theirs = (lifeline, reading), (described, held, report)
    try:
        process = await asyncio.create_subprocess_exec(
            *(*bubblewrap.interpreter(plan), *map(str, theirs)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=theirs,
            start_new_session=True,
            cwd="/",
            env={},
            limit=longest_line,
        )
    except BaseException as problem:
        for descriptor in ours:
            os.close(descriptor)
        if isinstance(problem, OSError):
            raise NotStarted(str(problem)) from problem
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    child = Child(process, lifeline=lifeline, report=await _reader(reading), longest=longest_line)
    try:
        await child.started()
    except BaseException:
        child.release()
        raise
    return child


def _described(plan: Plan) -> int:
    if kernel.IS_LINUX:
        described = os.memfd_create("plan", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            described = os.dup(file.fileno())
    os.write(described, plan.to_json().encode())
    os.lseek(described, 0, os.SEEK_SET)
    return described


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader
