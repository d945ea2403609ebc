import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.database import libpq
from governance.celery import app
from governance.worker import loop as loops
from governance.worker.jobs import JOBS, Job
from tests import databases, waits
from tests.audit.make import Archive

pytestmark = pytest.mark.django_db(transaction=True)
ONE, OTHER, SLOW = (
    Job("one", "sealed", pause=0),
    Job("other", "webhook", pause=0),
    Job("slow", "delivery", waits_for_others=True),
)


class Runs:
    """What a loop has run, and what each job does."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.does: dict[str, Callable[[], datetime | None]] = {}

    def __call__(self, task: str) -> datetime | None:
        self.names.append(task)
        return self.does.get(task, lambda: None)()

    def reach(self, task: str, times: int) -> None:
        waits.until(lambda: self.names.count(task) >= times)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@contextmanager
def looping(runs: Runs, *jobs: Job) -> Iterator[loops.Loop]:
    loop = loops.Loop(databases.addresses().app, jobs, runs)
    loop.start()
    try:
        for job in jobs:
            runs.reach(job.task, 1)  # it looks once it hears
        yield loop
    finally:
        loop.stop()


def tell(word: str) -> None:
    with psycopg.connect(databases.addresses().app) as connection:
        connection.execute("SELECT pg_notify(%s, %s)", [loops.CHANNEL, word])


def test_a_job_runs_when_its_word_comes_and_the_others_sleep(runs: Runs) -> None:
    with looping(runs, ONE, OTHER):
        for times in (2, 3):
            tell("sealed")
            runs.reach("one", times)
        assert runs.names.count("other") == 1


def test_a_word_that_comes_while_a_job_runs_is_not_lost(runs: Runs) -> None:
    entered, goes_on = threading.Event(), threading.Event()
    with looping(runs, ONE):

        def holds() -> None:
            entered.set()
            goes_on.wait()

        runs.does["one"] = holds
        tell("sealed")
        entered.wait()
        tell("sealed")
        tell("webhook")
        waits.until(heard_everything)
        goes_on.set()
        runs.reach("one", 3)


def heard_everything() -> bool:
    with psycopg.connect(databases.addresses().app) as connection:
        usage = connection.execute("SELECT pg_notification_queue_usage()").fetchone()
    return usage == (0.0,)


def test_a_job_runs_again_when_it_said_that_it_has_more(runs: Runs) -> None:
    runs.does["one"] = clock.now
    with looping(runs, ONE):
        runs.reach("one", 3)


def test_one_that_waits_for_a_server_holds_up_none_that_does_not(runs: Runs) -> None:
    goes_on = threading.Event()

    def holds() -> None:
        goes_on.wait()

    slow = [Job(f"slow-{number}", "delivery", waits_for_others=True) for number in range(9)]
    for job in slow:
        runs.does[job.task] = holds
    loop = loops.Loop(databases.addresses().app, [*slow, ONE], runs)
    loop.start()
    runs.reach("one", 1)
    tell("sealed")
    runs.reach("one", 2)
    goes_on.set()
    loop.stop()


def test_a_job_that_fails_is_logged_and_woken_again(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    runs.does["one"] = lambda: datetime.fromisoformat("never")
    with looping(runs, ONE):
        waits.until(lambda: "job_failed" in caplog.text)
        tell("sealed")
        runs.reach("one", 2)


def test_the_loop_finds_its_connection_again_and_looks_for_what_it_missed(runs: Runs) -> None:
    with looping(runs, ONE), psycopg.connect(databases.addresses().app, autocommit=True) as other:
        found = other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'mandate-worker-loop' AND datname = current_database()"
        ).fetchall()
        assert found
        runs.reach("one", 2)
        tell("sealed")
        runs.reach("one", 3)


def test_where_no_word_can_come_it_says_so_and_looks_by_itself(
    runs: Runs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libpq, "is_direct", lambda _: False)
    monkeypatch.setattr(loops, "DEAF", 0)
    with looping(runs, ONE):
        runs.reach("one", 3)
    assert "loop_is_deaf" in caplog.text


def test_a_touch_of_a_decoy_is_told_of_at_once_and_a_call_once_it_is_sealed(tmp_path: Path) -> None:
    with psycopg.connect(databases.addresses().app, autocommit=True) as listener:
        listener.execute(f"LISTEN {loops.CHANNEL}")
        for action in (Action.CALL_ALLOWED, Action.DECOY_TOUCHED):
            with transaction.atomic():
                log.record(action, about=["agent:bot"], by=SYSTEM)
        assert heard(listener) == "decoy"
        Archive(tmp_path, Ed25519PrivateKey.generate()).seal()
        assert heard(listener) == "sealed"


def heard(listener: psycopg.Connection) -> str:
    (notice,) = listener.notifies(timeout=waits.SECONDS, stop_after=1)
    return notice.payload


def test_every_word_of_the_database_wakes_a_job_and_every_job_has_a_word() -> None:
    with psycopg.connect(databases.addresses().owner) as owner:
        told = owner.execute(
            "SELECT DISTINCT encode(tgargs, 'escape') FROM pg_trigger WHERE tgfoid = 'wake_worker'::regproc"
        )
        assert {word.removesuffix("\\000") for (word,) in told} == {job.wakes for job in JOBS}
    app.autodiscover_tasks(force=True)
    tasks = {job.task for job in JOBS}
    assert tasks <= app.tasks.keys()
    assert tasks.isdisjoint(entry["task"] for entry in app.conf.beat_schedule.values())
