"""The keeper of one child: a small process between the gateway and the child, which starts, watches and ends it.

    python -I -S keeper.py PLAN LIFELINE REPORT     (three descriptors)

It forks once, in a process without threads. It adopts what the child leaves behind, so that nothing outlives the child;
and it ends all of it when the lifeline closes: when the gateway says so, or is no more. REPORT gets one line of JSON
when the child runs or was refused, and one when it has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[3]))  # isolated: nothing else is on the path

from entitlements.stdio.sandbox import kernel, processes
from entitlements.stdio.sandbox.confine import NotConfined, become
from entitlements.stdio.sandbox.plan import Layer, Plan

WATCH_SECONDS = 0.25
MOST_ENTRIES = 20_000
"""Files and folders in a scratch folder."""


class Keeper:
    """One child and what it started."""

    def __init__(self, plan: Plan, *, lifeline: int, report: int) -> None:
        self._plan, self._lifeline, self._report = plan, lifeline, report
        self._is_told = False
        self._code: int | None = None

    def run(self) -> int:
        """Start the child and keep it until it ends. Returns its exit code; 126: it was not started."""
        signal.signal(signal.SIGTERM, self._tell)
        if kernel.IS_LINUX:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        child, refusal = self._start()
        if refusal:
            self._say(event="refused", reason=refusal)
            return 126
        self._say(event="started", process=child)
        reason = self._watch(child)
        code = self._end(child, politely=reason == "told")
        self._say(event="ended", reason=reason, code=code)
        return code if code >= 0 else 128 - code

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        self._is_told = True

    def _start(self) -> tuple[int, str]:
        """Return the child's process id, and why it was refused."""
        reading, writing = os.pipe()
        keeper = os.getpid()
        child = os.fork()
        if not child:
            try:
                become(self._plan, keeper=keeper, keep=writing)
            except BaseException as problem:  # noqa: BLE001 - nothing of the keeper goes on in the child
                text = str(problem) if isinstance(problem, NotConfined) else f"{type(problem).__name__}: {problem}"
                os.write(writing, text.encode(errors="replace")[:1000])
            os._exit(126)
        os.close(writing)
        nothing = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):  # the child's alone: its end is the end of its streams
            os.dup2(nothing, standard)
        with os.fdopen(reading, "rb") as answer:
            refusal = answer.read().decode(errors="replace")
        if refusal:
            os.waitpid(child, 0)
        return child, refusal

    def _watch(self, child: int) -> str:
        """Wait. Returns why the child ends or has to."""
        handle = os.pidfd_open(child) if kernel.IS_LINUX else -1
        ready = select.poll()
        if handle >= 0:
            ready.register(handle, select.POLLIN)
        ready.register(self._lifeline, select.POLLIN | select.POLLHUP)
        while not self._is_told:
            events = {descriptor for descriptor, _ in ready.poll(WATCH_SECONDS * 1000)}
            if handle in events or (handle < 0 and self._ended(child) is not None):
                return "ended"
            if self._lifeline in events:
                return "told"
            if self._plan.has(Layer.WATCH) and (over := self._over()):
                return over
        return "told"

    def _over(self) -> str:
        limits = self._plan.limits
        if processes.memory(processes.descendants(os.getpid())) > limits.memory:
            return "memory"
        size = processes.folder_size(self._plan.scratch, most_entries=MOST_ENTRIES)
        return "scratch" if size is None or size > limits.scratch_bytes else ""

    def _end(self, child: int, *, politely: bool) -> int:
        """End the child and all that it started. Returns the child's exit code, negative for a signal's number."""
        code = self._ended(child)
        if code is None and politely:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
            until = time.monotonic() + self._plan.limits.grace_seconds
            while (code := self._ended(child)) is None and time.monotonic() < until:
                time.sleep(processes.PAUSE)
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if kernel.IS_LINUX:
            processes.end_all_below(os.getpid())
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # what it started and did not send off to a session of its own
        return code

    def _ended(self, child: int) -> int | None:
        if self._code is None:
            ended, status = os.waitpid(child, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def _say(self, **facts: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._report, json.dumps(facts).encode() + b"\n")


def main(arguments: list[str]) -> int:
    """Keep one child; `works` alone says that this much runs, and as which process. Returns the exit code."""
    if arguments == ["works"]:
        os.write(1, b"works %d\n" % os.getpid())
        return 0
    described, lifeline, report = map(int, arguments)
    with os.fdopen(described, encoding="utf-8") as text:
        plan = Plan.from_json(text.read())
    return Keeper(plan, lifeline=lifeline, report=report).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
