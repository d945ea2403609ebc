"""A clock that is more than a second from the database's, or that nobody has compared: nothing is decided by it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings

from audit import clock
from audit.models import Event
from entitlements.grants import batches
from entitlements.grants.models import Grant
from governance import celery, env
from governance.operations import health
from scripts.devservers import free_port
from tests import databases, make, waits
from tests.architecture import tree
from tests.benchmarks import gateway
from tests.deployments.release import Tree, ask
from tests.nodes.gateway import world

pytestmark = pytest.mark.django_db(transaction=True)
FORM = "application/x-www-form-urlencoded"
A_DAY_OFF = """
import sys, time
real = time.time
time.time = lambda: real() + 86400
import uvicorn
uvicorn.run("governance.asgi:application", port=int(sys.argv[1]), log_level="warning")
"""


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Be a process that serves."""
    clock.forget()
    clock.require_measured()
    health._seen.clear()
    yield
    clock.forget()


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Move the database's clock against ours."""

    def move(by: timedelta) -> None:
        monkeypatch.setattr(health, "measure_clock", lambda: clock.set_offset(datetime.now(UTC) + by))
        health.measure_clock()

    return move


def doors() -> list[tuple[str, Any]]:
    """A token is issued, a request approved, a right taken away, a page shown."""
    return [
        ("approving", lambda: Client().post("/api/v1/requests/1/approve", "{}", content_type="application/json")),
        ("revoking", lambda: Client().post("/api/v1/revocations", "{}", content_type="application/json")),
        ("a page", lambda: Client().get("/login/")),
    ]


@pytest.mark.parametrize("by", [timedelta(seconds=5), timedelta(days=-1)], ids=str)
def test_no_door_acts_by_a_clock_that_is_off(off: Callable[[timedelta], None], by: timedelta) -> None:
    off(by)
    for door, ask_it in doors():
        answer = ask_it()
        assert (answer.status_code, answer.json()["code"]) == (503, "clock_unknown"), door
        assert answer["Retry-After"] == "5"
    assert not Event.objects.exists()


def test_readiness_names_the_clock(off: Callable[[timedelta], None]) -> None:
    off(timedelta(seconds=1.5))
    assert Client().get("/readyz").json() == {"ready": False, "missing": ["clock"]}
    off(timedelta(seconds=0.5))
    assert Client().get("/readyz").json() == {"ready": True, "missing": []}


def test_a_process_that_never_compared_its_clock_does_so_first_and_else_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(health, "measure_clock", lambda: None)
        assert Client().get("/login/").status_code == 503
    assert Client().get("/login/").status_code == 200
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_host_that_we_do_not_know_is_refused_and_counted_by_a_process_that_never_compared_its_clock(
    off: Callable[[timedelta], None],
) -> None:
    browser, counted = Client(raise_request_exception=False), []
    for ahead in (timedelta(0), timedelta(seconds=5)):
        if ahead:
            off(ahead)
        answer = browser.get("/login/", headers={"host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_host")
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(sum(count), 0) FROM stranger_counts WHERE kind = 'unknown_host'")
            counted.append(int(cursor.fetchone()[0]))
    assert counted == [1, 1], "the minute of the second is not known"


@override_settings(METRICS_TOKEN=env.Secret("a-token-for-prometheus"))
def test_the_numbers_for_prometheus_are_told_by_a_known_time_alone(
    off: Callable[[timedelta], None],
) -> None:
    bearer = {"authorization": "Bearer a-token-for-prometheus"}
    assert Client().get("/metrics", headers=bearer).status_code == 200, "a worker's first request is this one"
    off(timedelta(seconds=5))
    answer = Client().get("/metrics", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (503, "clock_unknown")


def test_a_clock_that_is_right_again_serves_again(
    off: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    off(timedelta(seconds=5))
    assert Client().get("/login/").status_code == 503
    off(timedelta(0))
    monkeypatch.setattr(health, "MEASURE_AGAIN", 0.0)
    assert Client().get("/login/").status_code == 200


def test_a_job_ends_no_right_by_a_clock_that_is_off(off: Callable[[timedelta], None]) -> None:
    celery.trust_no_clock()
    celery.measure_the_clock()
    make.grant()
    off(timedelta(days=400))
    celery.measure_the_clock()
    with pytest.raises(clock.ClockUnknown):
        batches.expire_due()
    assert not Grant.objects.exclude(ended_at=None).exists()


def test_a_node_whose_clock_is_a_day_off_serves_nothing_and_says_why() -> None:
    clock.forget()  # this process makes the world, and only the node is off
    environment = {
        name: os.environ[name] for name in (*databases.ADDRESSES, "REDIS_URL", "SECRET_KEY", "KEY_ENCRYPTION_KEY")
    }
    here, running, port = (
        world.build("http://localhost:1/mcp"),
        Tree(tree.ROOT, {**environment, "DEMO": "1"}),
        free_port(),
    )
    with running.serving(["-c", A_DAY_OFF, str(port)], port, "/healthz") as node:
        waits.until(lambda: b'"lease"' not in ask(f"{node}/readyz")[1])
        status, said = ask(f"{node}/readyz")
        assert (status, b'"missing":["clock"]' in said.replace(b" ", b"")) == (503, True), said
        headers = {**gateway.HEADERS, "authorization": f"Bearer {here.token()}"}
        status, said = ask(f"{node}/gw/{here.system.slug}/mcp", gateway.body(), headers)
        assert (status, b"clock_unknown" in said) == (503, True), (status, said)
        for door in ("token", "introspect", "revoke"):
            status, said = ask(f"{node}/idp/{door}", b"grant_type=none", {"Content-Type": FORM})
            assert (status, b"temporarily_unavailable" in said) == (503, True), (door, status, said)
