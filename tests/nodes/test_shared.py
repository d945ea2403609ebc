"""The shared node is kept while it answers, missed when it is gone, and begun anew for who asks next."""

# ruff: noqa: ANN401 - numbers stand for nodes

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.nodes.shared import SharedNode


class Nodes:
    """Stands in for the processes: counts what was started, and which still answer."""

    def __init__(self) -> None:
        self.started = 0
        self.alive = set[Any]()

    @contextlib.contextmanager
    def start(self) -> Iterator[Any]:
        self.started += 1
        self.alive.add(number := self.started)
        yield number
        self.alive.discard(number)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def shared(nodes: Nodes) -> Any:  # its nodes are numbers here
    return SharedNode(nodes.start, lambda node: node in nodes.alive)


def test_who_asks_gets_the_one_node_until_someone_wants_to_be_alone(nodes: Nodes, shared: Any) -> None:
    assert not shared.is_lost()
    assert shared.node() == shared.node() == 1
    shared.stop()
    assert (nodes.alive, shared.is_lost()) == (set(), False)
    assert shared.node() == 2


def test_a_node_that_a_test_ended_is_missed_after_it_and_replaced(nodes: Nodes, shared: Any) -> None:
    killed = shared.node()
    nodes.alive.clear()
    assert shared.is_lost()
    assert shared.node() != killed
    assert not shared.is_lost()
