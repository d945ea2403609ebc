"""A connection that a test leaves open is found, whichever thread opened it; one that stays open on purpose is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests import connections, databases, waits

pytestmark = pytest.mark.django_db


def by_hand() -> Any:  # noqa: ANN401 - of either kind
    return psycopg.connect(databases.addresses().app)


def by_a_thread() -> Any:  # noqa: ANN401 - as above
    made: list[psycopg.Connection] = []
    thread = threading.Thread(target=lambda: made.append(by_hand()))
    thread.start()
    thread.join()
    return made[0]


def by_an_event_loop() -> Any:  # noqa: ANN401 - as above
    return asyncio.run(psycopg.AsyncConnection.connect(databases.addresses().app))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Look at what is opened from here on, as at that of a test of its own, and wait for none of it to close."""
    monkeypatch.setattr(waits, "SECONDS", 0)
    noted: list[Any] = [[]]
    monkeypatch.setattr(connections, "_opened", noted)
    return noted


def ended(item: object = None) -> None:
    """Do what is done when a test has ended."""
    hook = connections.pytest_runtest_teardown(item)  # type: ignore[arg-type]  # it is asked for its name alone
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(None)


@pytest.mark.parametrize("open_one", [by_hand, by_a_thread, by_an_event_loop])
@pytest.mark.usefixtures("opened")
def test_what_a_test_leaves_open_fails_it_by_name(request: pytest.FixtureRequest, open_one: Callable[[], Any]) -> None:
    left = open_one()
    try:
        with pytest.raises(
            pytest.fail.Exception, match=r"test_what_a_test_leaves_open.* left open: mandate_app at test"
        ):
            ended(request.node)
    finally:
        left.pgconn.finish()


def test_what_a_wider_fixture_leaves_open_fails_it_where_it_ends(opened: list[Any]) -> None:
    wider: Any = type("Wider", (), {"scope": "module", "argname": "node"})()
    making = connections.pytest_fixture_setup(wider)
    next(making)
    left = by_hand()
    with pytest.raises(StopIteration):
        making.send(None)
    assert opened == [[]], "no test is blamed for it"
    try:
        with pytest.raises(pytest.fail.Exception, match="the fixture node left open: mandate_app at test"):
            connections.pytest_fixture_post_finalizer(wider)
    finally:
        left.close()
    connections.pytest_fixture_post_finalizer(wider)


@pytest.mark.usefixtures("opened")
def test_what_is_closed_and_what_django_keeps_fails_no_test() -> None:
    by_hand().close()
    connection.close()
    connection.ensure_connection()
    ended()
