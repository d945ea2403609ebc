import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as configured

from audit import alive
from entitlements import tasks
from governance import env
from governance.celery import app
from governance.worker import backlog, pool, queues

pytestmark = pytest.mark.loopback
TIMES = [None, "soon", float("nan")]


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(configured.REDIS_URL.reveal()) as found:
        found.delete(*queues.ALL)
        yield found
        found.delete(*queues.ALL)


def sent(server: redis.Redis, task: Any, *, seconds_ago: float) -> None:  # noqa: ANN401 - celery's
    """Send a task, and let it have waited."""
    task.delay()
    change(server, queues.of(task.name), lambda at: at - seconds_ago)


def change(server: redis.Redis, queue: str, to: Any) -> None:  # noqa: ANN401 - what takes and returns a time
    message = json.loads(server.lindex(queue, 0) or "")
    message["headers"][backlog.SENT_AT] = to(message["headers"][backlog.SENT_AT])
    server.lset(queue, 0, json.dumps(message))


def behind() -> list[str]:
    return [each.queue for each in backlog.read() or [] if each.is_behind]


@pytest.mark.parametrize(
    ("task", "queue"), [(tasks.expire_grants, queues.URGENT), (tasks.forget_old_history, queues.SWEEPS)]
)
def test_a_queue_is_behind_once_its_oldest_message_has_waited_too_long(
    server: redis.Redis,
    task: Any,  # noqa: ANN401 - celery's
    queue: str,
) -> None:
    assert behind() == []
    sent(server, task, seconds_ago=queues.LATE_SECONDS[queue] + 1)
    task.delay()

    assert behind() == [queue]
    assert [each.length for each in backlog.read() or [] if each.queue == queue] == [2]
    server.rpop(queue)
    assert behind() == []


@pytest.mark.parametrize("at", TIMES, ids=repr)
def test_a_message_that_does_not_say_since_when_it_waits_is_behind(server: redis.Redis, at: object) -> None:
    tasks.expire_grants.delay()
    change(server, queues.URGENT, lambda _: at)
    assert behind() == [queues.URGENT]
    server.lset(queues.URGENT, 0, "no json")
    assert behind() == [queues.URGENT]


def test_a_worker_is_ready_while_no_queue_is_behind_and_lives_all_the_same(
    server: redis.Redis,
    tmp_path: Path,
    settings: Any,  # noqa: ANN401 - pytest-django's
) -> None:
    settings.ALIVE_FILE = str(tmp_path / "alive")
    lives, is_ready = tmp_path / "alive", tmp_path / f"alive{alive.READY}"

    def shown() -> tuple[bool, bool]:
        for file in (lives, is_ready):
            file.unlink(missing_ok=True)
        pool.show_health()
        return lives.exists(), is_ready.exists()

    assert shown() == (True, True)
    sent(server, tasks.expire_grants, seconds_ago=queues.LATE_SECONDS[queues.URGENT] + 1)
    assert shown() == (True, False)
    server.delete(queues.URGENT)
    settings.REDIS_URL = env.Secret("redis://127.0.0.1:1/0")
    assert shown() == (True, False)


def test_a_message_goes_to_the_queue_that_its_age_is_read_from() -> None:
    assert {queue.name for queue in app.conf.task_queues} == {*queues.ALL}
