"""What runs tasks: one process, whose queues have a channel and threads of their own (`governance/worker/queues.py`).

Celery gives all queues of a worker one channel and one pool: as soon as sweeps hold every place nothing urgent is even
read. Its pool of threads has no time limits either. Here a task that is over its soft limit gets the exception, as it
would in a process of its own; one that does not end even then ends the worker, which its supervisor starts again.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from celery import bootsteps
from celery.concurrency import base, thread
from celery.exceptions import SoftTimeLimitExceeded
from kombu.common import ignore_errors

from audit import alive
from governance.worker import backlog, queues

ALIVE_EVERY: Final = 5.0
STUCK: Final = 70  # EX_SOFTWARE

logger = logging.getLogger(__name__)


class _Run:
    """One run of a task, which may be interrupted while it lasts and at no other time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None

    def __call__(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - celery's
        self._thread = threading.get_ident()
        try:
            return call()
        finally:
            with self._lock:
                self._thread = None

    def end_soon(self) -> None:
        """Raise SoftTimeLimitExceeded in the thread, as soon as it runs Python again."""
        with self._lock:
            if self._thread is not None:
                raised = ctypes.py_object(SoftTimeLimitExceeded)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), raised)

    def is_running(self) -> bool:
        return self._thread is not None


class Pool(thread.TaskPool):
    """Threads for each queue, and the time limits of tasks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - celery's
        super().__init__(*args, **kwargs)
        own = {name: ThreadPoolExecutor(count, name) for name, count in queues.OWN_THREADS.items()}
        self._executors = {**own, queues.SWEEPS: self.executor}
        self._hub: Any = None

    def register_with_event_loop(self, hub: Any) -> None:  # noqa: ANN401 - celery's
        """Take the loop that the time limits are kept with."""
        self._hub = hub

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,  # noqa: ANN401 - celery's
        kwargs: Any = None,  # noqa: ANN401 - celery's
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        *,
        timeout: float | None = None,
        soft_timeout: float | None = None,
        **_: Any,  # noqa: ANN401 - celery's
    ) -> thread.ApplyResult:
        """Run a task in a thread of its queue."""
        name, run = args[0], _Run()
        call = partial(base.apply_target, target, args, kwargs, callback, accept_callback)
        future = self._executors[queues.of(name)].submit(run, call)
        if self._hub is not None:
            limits = ((soft_timeout, run.end_soon), (timeout, partial(_end_if_stuck, run, name)))
            timers = [self._hub.call_later(seconds, act) for seconds, act in limits if seconds]
            future.add_done_callback(lambda _: [timer.cancel() for timer in timers])
        return thread.ApplyResult(future)

    def on_stop(self) -> None:
        """Wait for the tasks that run."""
        for executor in self._executors.values():
            executor.shutdown(cancel_futures=True)
        super().on_stop()


def _end_if_stuck(run: _Run, task: str) -> None:
    if run.is_running():
        logger.critical("worker_is_stuck", extra={"task": task})
        os._exit(STUCK)  # what it had taken comes again; a thread cannot be ended


def show_health() -> None:
    """Show that this worker lives and, while no queue is behind, that it is ready."""
    alive.touch()
    found = backlog.read()
    if found is not None and not any(each.is_behind for each in found):
        alive.touch(alive.READY)


class Readers(bootsteps.StartStopStep):
    """Reads each queue that has threads of its own over a channel of its own, and only while one of them is free."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:  # noqa: ANN401 - celery's
        super().__init__(consumer, **kwargs)
        consumer.app.amqp.queues.select([queues.SWEEPS])  # what Celery's own channel reads
        self._readers: list[Any] = []
        self._alive: Any = None

    def start(self, consumer: Any) -> None:  # noqa: ANN401 - celery's
        """Begin to read, and to show that the queue is reached."""
        for name, threads in queues.OWN_THREADS.items():
            channel = consumer.connection.channel()
            channel.basic_qos(0, threads, False)  # noqa: FBT003 - positional there
            amqp = consumer.app.amqp
            reader = amqp.TaskConsumer(channel, [amqp.queues[name]], on_decode_error=consumer.on_decode_error)
            reader.on_message = consumer.create_task_handler()
            reader.consume()
            self._readers.append(reader)
        show_health()
        self._alive = consumer.timer.call_repeatedly(ALIVE_EVERY, show_health)

    def stop(self, consumer: Any) -> None:  # noqa: ANN401 - celery's
        """Read no more."""
        if self._alive is not None:
            self._alive.cancel()
        for reader in self._readers:
            for end in (reader.cancel, reader.channel.close):
                ignore_errors(consumer.connection, end)  # type: ignore[no-untyped-call]
        self._readers.clear()

    shutdown = stop
