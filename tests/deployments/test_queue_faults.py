"""The queue forgets, loses a worker, or holds what nobody of ours put there: no right is lost, none is given."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from django.conf import settings
from django.contrib.sessions.models import Session as SignIn
from django.test import Client

from audit import clock
from audit.context import SYSTEM
from entitlements import ratelimits, tasks
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.secrets import seal
from governance import tasks as governance_tasks
from governance.operations import invariants
from governance.worker import queues
from tests import databases, make, waits
from tests.nodes.gateway import world

pytestmark = pytest.mark.django_db(transaction=True)

CELERY = ["-m", "celery", "-A", "governance.celery"]
WORKER = [*CELERY, "worker", "--concurrency", "1", "--without-mingle", "--without-gossip", "--without-heartbeat"]
BEAT = [*CELERY, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile", ""]
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@contextmanager
def process(*command: str, stderr: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of the product."""
    child = subprocess.Popen([sys.executable, *command], cwd=settings.BASE_DIR, env=dict(os.environ), stderr=stderr)
    try:
        yield child
    finally:
        waits.stop(child)


@pytest.fixture
def queue() -> Iterator[redis.Redis]:
    """This test process's own database of the queue, empty before and after."""
    with redis.Redis.from_url(settings.REDIS_URL.reveal()) as found:
        found.flushdb()
        yield found
        found.flushdb()


def everything_in(queue: redis.Redis) -> list[bytes]:
    """Return every key and value there is, as bytes."""
    reads: dict[Any, Callable[[Any], Any]] = {
        b"string": lambda key: [queue.get(key)],
        b"list": lambda key: queue.lrange(key, 0, -1),
        b"set": queue.smembers,
        b"zset": lambda key: queue.zrange(key, 0, -1),
        b"hash": lambda key: [part for pair in queue.hgetall(key).items() for part in pair],
    }
    return [part for key in queue.scan_iter() for part in (key, *reads[queue.type(key)](key))]


def due(count: int) -> list[UUID]:
    """Make grants whose time is over."""
    made = [make.grant().pk for _ in range(count)]
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute(
            "UPDATE entitlements_grant SET starts_at = starts_at - interval '2 days' WHERE id = ANY(%s)", [made]
        )
    Grant.objects.filter(pk__in=made).update(expires_at=clock.now() - timedelta(seconds=1))
    return made


def swept(made: list[UUID]) -> bool:
    return not Grant.objects.filter(pk__in=made, ended_at=None).exists()


def test_nothing_that_lies_in_the_queue_or_in_a_session_is_pickled(queue: redis.Redis, client: Client) -> None:
    for task in (tasks.expire_grants, tasks.rotate_signing_keys):
        task.delay()
    tasks.discover_tools.delay(7)
    ratelimits._shared("api", "somebody", 1)
    client.force_login(make.person("alice"))
    client.get("/")

    found = everything_in(queue)
    messages = [json.loads(part) for name in queues.ALL for part in queue.lrange(name, 0, -1)]

    assert len(messages) == 3
    for message in messages:
        assert (message["content-type"], message["headers"]["argsrepr"][:1]) == ("application/json", "(")
        json.loads(base64.b64decode(message["body"]))
    assert found
    for part in found:
        assert not any(mark in part for mark in PICKLES)
        part.decode("ascii")
    kept = SignIn.objects.get()
    held = seal.unseal(base64.b64decode(kept.session_data), f"session:{kept.session_key}")
    assert isinstance(json.loads(held), dict)


class Trap:
    """What a pickle may do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_worker_opens_no_pickle_and_goes_on_to_the_next_message(queue: redis.Redis, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    tasks.expire_grants.delay()
    message = json.loads(queue.lpop(queues.URGENT))  # type: ignore[arg-type]
    poison = {
        **message,
        "content-type": "application/x-python-serialize",
        "body": base64.b64encode(pickle.dumps(((Trap(sprung),), {}, {}))).decode(),
    }
    queue.lpush(queues.URGENT, json.dumps(poison), json.dumps({**message, "body": "bm90IGpzb24="}))
    made = due(2)
    tasks.expire_grants.delay()

    with process(*WORKER):
        waits.until(lambda: swept(made))
    assert not sprung.exists()


def broken_messages(good: dict[str, Any]) -> list[bytes | str]:
    """Return what a stranger with access to the queue may leave there."""
    headers, properties = good["headers"], good["properties"]
    arguments = json.loads(base64.b64decode(good["body"]))[0]
    bodies: list[object] = [{}, [], [7, 7, 7], [[{}], {"no": 1}, {}], [arguments, [], {}]]
    parts: dict[str, list[Any]] = {
        "headers": [
            *(
                None,
                7,
                [],
                {},
                {**headers, "id": None},
                {**headers, "timelimit": []},
                {**headers, "timelimit": [1, {}]},
            ),
            *({**headers, name: {}} for name in ("eta", "expires", "retries", "timelimit", "origin", "sent_at")),
            *({**headers, name: "no"} for name in ("eta", "expires", "task")),
        ],
        "properties": [
            *(None, 7, {}, {**properties, "delivery_tag": None}, {**properties, "delivery_info": None}),
            *({**properties, "delivery_info": info} for info in (7, {}, {"exchange": 7, "routing_key": {}})),
        ],
        "content-type": [None, 7, "text/plain"],
        "content-encoding": [None, {}, "no-such-code"],
        "body": [None, 7, "", "not base64!", {}, *map(written, bodies)],
    }
    changed = [{**good, name: value} for name, values in parts.items() for value in values]
    whole = [7, None, [], "text", {}, [good], *changed]
    return [b"\xff\xfe\x00", "no json", '{"half":', "[" * 100_000, *map(json.dumps, whole)]


def written(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def test_a_message_that_is_none_is_refused_once_and_the_worker_goes_on(queue: redis.Redis, tmp_path: Path) -> None:
    tasks.expire_grants.delay()
    good = json.loads(queue.lpop(queues.URGENT))  # type: ignore[arg-type]
    made, broken, log = due(2), broken_messages(good), tmp_path / "log"
    for each in broken:
        queue.lpush(queues.URGENT, each)
    tasks.expire_grants.delay()
    with log.open("wb") as output, process(*WORKER, stderr=output) as worker:
        waits.until(lambda: swept(made))
        queue.publish("/1.celery.pidbox", "no json")
        queue.publish("/1.celery.pidbox", json.dumps({"body": 7}))
        made = due(1)
        tasks.expire_grants.delay()
        waits.until(lambda: swept(made))
        waits.until(lambda: log.read_text().count("message_refused") > len(broken) - 10)  # Celery refuses a few itself
        waits.until(lambda: queue.hlen("unacked") == 0)
        assert worker.poll() is None
    assert log.read_text().count("message_refused") <= len(broken) + 1


def test_a_queue_that_forgets_everything_loses_nothing_and_allows_nothing(queue: redis.Redis) -> None:
    kept, revoked = world.build("http://localhost:1/mcp"), world.build("http://localhost:1/mcp")
    tokens = [(each, each.token()) for each in (kept, revoked)]  # none is issued on what has ended
    with process(*WORKER), process(*BEAT), world.gateway() as node:
        waits.until(lambda: bool(queue.keys("_kombu.binding.*")))
        grants.revoke(revoked.grant.pk, by=SYSTEM, reason="test")
        usual = [node.call(*each).status_code for each in tokens]
        made = due(5)
        for _ in range(5):
            tasks.expire_grants.delay()
            queue.flushdb()
        assert [node.call(*each).status_code for each in tokens] == usual
        waits.until(lambda: swept(made))
        assert {*revoked.calls()} == {"call.denied"}
        assert "call.allowed" in kept.calls()
    broken = [each for each in invariants.check() if each.count and each.invariant.id not in {"4", "10", "12"}]
    assert broken == [], broken


def test_a_limit_holds_again_after_the_queue_forgot_its_counts(queue: redis.Redis, settings: Any) -> None:  # noqa: ANN401
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "api": 3}
    who = f"flushed-{time.time_ns()}"

    def asks(times: int) -> int:
        passed = 0
        for _ in range(times):
            try:
                ratelimits.check(ratelimits.API, who)
                passed += 1
            except ratelimits.TooMany:
                continue
        return passed

    assert asks(6) <= 6
    queue.flushdb()
    assert asks(10) <= 6, "at most one limit for each minute that these ten may touch"


def test_a_job_whose_process_is_killed_in_the_middle_is_done_by_another(queue: redis.Redis) -> None:
    """Nothing sends the message again but the queue, since no beat runs."""
    made = due(5)
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute("LOCK TABLE entitlements_grant IN ACCESS EXCLUSIVE MODE")
        with process(*WORKER) as worker:
            tasks.expire_grants.delay()
            waits.until(lambda: waits_for(owner, "entitlements_grant"))
            worker.kill()
    taken: dict[Any, int] = dict.fromkeys(queue.hkeys("unacked"), 0)
    queue.zadd("unacked_index", taken)  # as if the visibility timeout had passed
    with process(*WORKER):
        waits.until(lambda: swept(made))
        waits.until(lambda: queue.llen(queues.URGENT) == 0 and queue.hlen("unacked") == 0)
    broken = [each for each in invariants.check() if each.count and each.invariant.id != "12"]
    assert broken == [], broken


def test_what_is_urgent_runs_while_everything_else_hangs(queue: redis.Redis) -> None:
    made = due(2)
    with psycopg.connect(databases.addresses().owner) as owner, process(*WORKER):
        owner.execute("LOCK TABLE entitlements_idempotentanswer, governance_whatif IN ACCESS EXCLUSIVE MODE")
        for _ in range(9):
            tasks.forget_idempotent_answers.delay()
            governance_tasks.read_what_if.delay(str(uuid4()))
        waits.until(lambda: waits_for(owner, "entitlements_idempotentanswer") == 1)
        waits.until(lambda: waits_for(owner, "governance_whatif") == queues.OWN_THREADS[queues.PEOPLE])
        assert min(queue.llen(queues.SWEEPS), queue.llen(queues.PEOPLE)) > 0, "no place is left that could read them"
        tasks.expire_grants.delay()
        waits.until(lambda: swept(made))
        assert waits_for(owner, "entitlements_idempotentanswer") == 1
        owner.rollback()
        waits.until(lambda: queue.hlen("unacked") == 0)


def waits_for(owner: psycopg.Connection, table: str) -> int:
    """Return how many wait for a table."""
    found = owner.execute(
        "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [table],
    )
    return int((found.fetchone() or (0,))[0])
