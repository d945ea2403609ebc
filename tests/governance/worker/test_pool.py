import threading
import time
from collections.abc import Callable, Iterator

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from governance.worker import pool as worker
from governance.worker import queues
from tests import waits

SWEEP = "governance.tasks.clear_sessions"
SOFT, HARD = 120.0, 180.0
URGENT = "entitlements.tasks.settle_revocations"


class Timer:
    def __init__(self) -> None:
        self.is_off = False

    def cancel(self) -> None:
        self.is_off = True


class Hub:
    """An event loop whose time the test passes by hand."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None], Timer]] = []

    def call_later(self, seconds: float, act: Callable[[], None]) -> Timer:
        self.due.append((seconds, act, Timer()))
        return self.due[-1][2]


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def pool(hub: Hub) -> Iterator[worker.Pool]:
    made = worker.Pool(1)
    made.register_with_event_loop(hub)
    yield made
    made.on_stop()


def test_an_urgent_task_has_a_thread_while_sweeps_hold_theirs(pool: worker.Pool) -> None:
    goes_on = threading.Event()
    held = [pool.on_apply(lambda _: goes_on.wait(), [SWEEP], {}) for _ in range(3)]

    urgent = pool.on_apply(lambda task: task, [URGENT], {}, callback=lambda _: None)

    urgent.wait()
    assert not any(each.f.done() for each in held)
    goes_on.set()


def test_a_task_over_its_soft_limit_is_interrupted_and_the_next_one_is_not(pool: worker.Pool, hub: Hub) -> None:
    begun, seen = threading.Event(), []

    def endless(_: str) -> None:
        begun.set()
        try:
            while True:
                time.sleep(0)
        except SoftTimeLimitExceeded:
            seen.append("interrupted")

    result = pool.on_apply(endless, [SWEEP], {}, soft_timeout=SOFT, timeout=HARD)
    begun.wait()
    [(soft, interrupt, _), (hard, _, _)] = hub.due
    assert (soft, hard) == (SOFT, HARD)
    interrupt()
    result.wait()

    interrupt()  # late: the thread belongs to the next task
    pool.on_apply(lambda _: seen.append("whole"), [SWEEP], {}).wait()
    assert seen == ["interrupted", "whole"]
    assert all(timer.is_off for *_, timer in hub.due)


def test_a_task_that_does_not_end_ends_the_worker(pool: worker.Pool, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr("os._exit", ends.append)
    goes_on = threading.Event()
    result = pool.on_apply(lambda _: goes_on.wait(), [SWEEP], {}, timeout=HARD)
    waits.until(lambda: bool(pool.executor._threads))
    [(_, end, _)] = hub.due
    end()
    assert ends == [worker.STUCK]

    goes_on.set()
    result.wait()
    end()
    assert ends == [worker.STUCK]


def test_every_queue_says_when_it_is_behind() -> None:
    assert queues.LATE_SECONDS.keys() == set(queues.ALL)
