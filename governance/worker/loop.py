"""The loop of a worker: it sleeps until PostgreSQL tells it of something to do, or until the time of a job has come.

Words come by NOTIFY over a connection of its own (`FEED_DATABASE_URL`), since a transaction pooler delivers none; where
one stands between all the same, the loop says so and looks each second. A word may be lost with its connection: each
job runs after a connect, and again after half a minute without any.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import close_old_connections

from audit import clock
from audit.database import libpq

from .jobs import Job

CHANNEL: Final = "mandate_work"
FALLBACK: Final = 30.0
"""Seconds after which a job looks without a word: for one that was lost."""
DEAF: Final = 1.0
"""The same where no word can come."""
AGAIN_AFTER: Final = 10.0
"""Seconds after which a job that failed is tried again."""
THREADS: Final = {False: 2, True: 3}
"""Threads for jobs that wait for no other server, and for those that do."""

_DEAF: Final = (
    "The loop's connection goes through a pooler that delivers no notifications, so it looks each second. Set"
    " FEED_DATABASE_URL to the address of PostgreSQL itself."
)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """When a job is to run next, and whether it runs now. Times are monotonic."""

    job: Job
    at: float = 0.0
    began: float = -AGAIN_AFTER
    is_running: bool = False
    is_woken: bool = False

    def wake(self) -> None:
        self.is_woken = True
        if not self.is_running:
            self.at = min(self.at, self.began + self.job.pause)


class Loop:
    """The loop over some jobs, each run by `run`, which returns when the job has more to do, if it knows."""

    def __init__(self, address: str, jobs: Iterable[Job], run: Callable[[str], datetime | None]) -> None:
        self._address, self._run = address, run
        self._turns = [_Turn(job) for job in jobs]
        self._lock, self._stops = threading.Lock(), False
        self._threads = {is_slow: ThreadPoolExecutor(count, "loop") for is_slow, count in THREADS.items()}
        self._poked, self._poke = os.pipe()
        os.set_blocking(self._poked, False)
        self._longest = FALLBACK
        self._thread = threading.Thread(target=self._follow, name="loop", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the jobs that run."""
        self._stops = True
        os.write(self._poke, b".")
        self._thread.join()
        for executor in self._threads.values():
            executor.shutdown(cancel_futures=True)

    def _follow(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._stops:
            try:
                connection = connection or self._connect()
                self._sleep(self._begin_due(), connection)
            except (psycopg.Error, OSError) as error:
                logger.warning("loop_lost_its_connection", extra={"error": str(error)})
                if connection is not None:
                    connection.close()
                connection = None
                self._sleep(self._begin_due(DEAF), None)
        if connection is not None:
            connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._address, autocommit=True, application_name="mandate-worker-loop")
        connection.execute(f"LISTEN {CHANNEL}")
        if not (hears := libpq.is_direct(connection)):
            logger.warning("loop_is_deaf", extra={"error": _DEAF})
        self._longest = FALLBACK if hears else DEAF
        with self._lock:
            for turn in self._turns:
                turn.wake()
        return connection

    def _begin_due(self, at_most: float = FALLBACK) -> float:
        """Start each job whose time has come; return the seconds until the next one's."""
        with self._lock:
            now = time.monotonic()
            for turn in self._turns:
                if turn.at <= now and not turn.is_running:
                    turn.is_running, turn.is_woken, turn.began = True, False, now
                    self._threads[turn.job.waits_for_others].submit(self._do, turn)
            return max(0.0, min([at_most, *(turn.at - now for turn in self._turns if not turn.is_running)]))

    def _sleep(self, seconds: float, connection: psycopg.Connection[Any] | None) -> None:
        """Wait for a word, for the end of a job, or for the time."""
        watched: list[Any] = [self._poked] if connection is None else [self._poked, connection]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._poked in ready:
            os.read(self._poked, 1024)
        if connection is None or connection not in ready:
            return
        words = {notice.payload for notice in connection.notifies(timeout=0)}
        with self._lock:
            for turn in self._turns:
                if turn.job.wakes in words:
                    turn.wake()

    def _do(self, turn: _Turn) -> None:
        later = AGAIN_AFTER
        close_old_connections()
        try:
            due = self._run(turn.job.task)
            later = self._longest if due is None else min(self._longest, (due - clock.now()).total_seconds())
        except Exception:
            logger.exception("job_failed", extra={"task": turn.job.task})
        finally:
            close_old_connections()
            with self._lock:
                turn.is_running = False
                soonest = turn.began + turn.job.pause
                turn.at = soonest if turn.is_woken else max(soonest, time.monotonic() + later)
            os.write(self._poke, b".")
