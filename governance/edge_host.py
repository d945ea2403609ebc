"""Several worker processes of the edge on one port: started, replaced and stopped together, with one change feed.

    python -m governance.edge --workers 2

This process accepts no connection: each worker listens at the port by itself (SO_REUSEPORT), so that one that has ended
is given none. It reads the change feed for them (`entitlements/node_feed/host_feed.py`), and watches over them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs the settings

from audit.database import libpq  # noqa: E402 - needs the settings
from entitlements.node_feed.host_feed import HostFeed  # noqa: E402 - needs the settings
from entitlements.node_feed.lease import of_worker, own_name  # noqa: E402 - needs the settings

RESTART_SECONDS: Final = 1.0
"""Seconds before a worker that has ended is replaced: one that ends at once must not keep a core busy."""
LOOK_SECONDS: Final = 1.0
CLEAR_UP_SECONDS: Final = 5.0
"""Seconds that a worker has, after its open calls, to record how they ended."""

logger = logging.getLogger(__name__)


class Host:
    """Runs so many workers, each with these arguments."""

    def __init__(self, workers: int, arguments: Sequence[str], stop_seconds: float) -> None:
        self._slots = range(1, workers + 1)
        self._arguments = arguments
        self._stop_within = stop_seconds + CLEAR_UP_SECONDS
        self._name = own_name()
        self._feed = HostFeed(libpq.address(settings.FEED_DATABASE), self._name)
        self._running: dict[str, Process] = {}
        self._started: set[str] = set()
        self._is_stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Serve until a signal, or until a worker cannot start. Returns the status to exit with."""
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self._is_stopping.set)
        await self._feed.start()
        tasks = [asyncio.create_task(self._keep(of_worker(self._name, slot))) for slot in self._slots]
        watch = asyncio.create_task(self._watch())
        await self._is_stopping.wait()
        await self._stop()
        watch.cancel()
        await asyncio.gather(*tasks, watch, return_exceptions=True)
        await self._feed.stop()
        return self._status

    async def _keep(self, name: str) -> None:
        """Run one worker, and another in its place whenever it ends."""
        while not self._is_stopping.is_set():
            try:
                status = await self._run_one(name)
            except OSError:  # no memory, or no process, for another one now
                logger.exception("worker_not_started", extra={"node": name})
                status = 1
            if self._is_stopping.is_set():
                return
            if name not in self._started:
                self._status = status if status > 0 else 1
                self._is_stopping.set()
                return
            logger.warning("worker_ended", extra={"node": name, "status": status})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopping.wait(), RESTART_SECONDS)

    async def _run_one(self, name: str) -> int:
        """Run one process to its end; returns its status, negative for a signal."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack, theirs:
            stack.enter_context(ours)
            link = theirs.fileno()
            command = ["-m", "governance.edge", *self._arguments, "--worker", name, "--link", str(link)]
            process = await asyncio.create_subprocess_exec(sys.executable, *command, pass_fds=[link])
            stack.pop_all()  # from here on the feed closes it
        self._running[name] = process
        if self._is_stopping.is_set():
            process.terminate()
        served = asyncio.create_task(self._serve(name, ours))
        try:
            return await process.wait()
        finally:
            await served
            del self._running[name]
            self._feed.leave(name)

    async def _serve(self, name: str, link: socket.socket) -> None:
        if await self._feed.listen_to(name, link):
            self._started.add(name)

    async def _watch(self) -> None:
        """End workers that hang; they are replaced like any other that ended."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for name in self._feed.silent():
                logger.error("worker_hangs", extra={"node": name})
                with contextlib.suppress(ProcessLookupError):
                    self._running[name].kill()

    async def _stop(self) -> None:
        """Let every worker finish its calls; kill what does not end."""
        running = list(self._running.values())
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        waits = [asyncio.create_task(process.wait()) for process in running]
        if waits and (await asyncio.wait(waits, timeout=self._stop_within))[1]:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def run(workers: int, arguments: Sequence[str], stop_seconds: float) -> int:
    """Run a host until it ends; returns the status to exit with."""
    return asyncio.run(Host(workers, arguments, stop_seconds).run())
