"""A connection to the database that a test leaves open fails it; one of a wider fixture fails that, where it ends."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

import psycopg
import pytest

from tests import databases, waits

type _Opened = list[weakref.ref[psycopg.BaseConnection[Any]]]

_opened: list[_Opened] = [[]]
"""What the running test opened, and then what each of its wider fixtures that is being made did."""
_kept: dict[Any, _Opened] = {}
"""What a wider fixture opened, until it ends."""


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Note every connection that is opened, by whatever thread or event loop."""
    psycopg.BaseConnection.__init__ = _noted(psycopg.BaseConnection.__init__)  # type: ignore[method-assign]


def _noted(usual: Callable[..., None]) -> Callable[..., None]:
    def begin(connection: psycopg.BaseConnection[Any], *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        _opened[-1].append(weakref.ref(connection))
        usual(connection, *arguments, **named)

    return begin


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Let a fixture that outlives the test keep what it opens."""
    if fixturedef.scope == "function":
        return (yield)
    _opened.append([])
    try:
        return (yield)
    finally:
        _kept.setdefault(fixturedef, []).extend(_opened.pop())


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Fail where a fixture ends and what it opened does not."""
    if (opened := _kept.pop(fixturedef, None)) and (left := still_open(opened)):
        pytest.fail(f"the fixture {fixturedef.argname} left open: {left}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail a test that ends and leaves something open."""
    yield
    opened, _opened[0] = _opened[0], []
    if opened and (left := still_open(opened)):
        pytest.fail(f"{item.nodeid} left open: {left}")


def still_open(opened: _Opened) -> str:
    """Return what of these is open, after what is about to close had its time."""
    end = time.monotonic() + waits.SECONDS
    while left := [each for ref in opened if (each := ref()) and not each.closed and each not in _ours()]:
        if time.monotonic() > end:
            return ", ".join(f"{each.info.user} at {each.info.dbname}" for each in left)
        del left
        time.sleep(0.01)
    return ""


def _ours() -> list[object]:
    """Return what stays open from test to test: what Django has in this thread, and what empties the database."""
    django: Any = sys.modules.get("django.db")
    held = [each.connection for each in django.connections.all(initialized_only=True)] if django else []
    return [*held, *databases.kept_open()]
