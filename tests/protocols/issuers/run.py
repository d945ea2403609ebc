"""Send cases to a lane and write down what it answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from django.conf import settings
from django.db import transaction

from . import leftovers, normal, states, worlds
from .cases import Case
from .lanes import Lane, Request
from .recording import Answer
from .scenes import Scene
from .worlds import World

AT_ONCE: Final = 50
"""So many requests are written before they are sent where nothing is rolled back: what they hold lives a minute."""


def rolled_back(cases: Iterable[Case], lane: Lane, world: World) -> Iterator[tuple[str, Answer]]:
    """Answer cases in one world on one connection, and undo each of them. Yields name and answer."""
    lane.begin()
    for number, case in enumerate(cases):
        known, times, public = dict(world.known), dict(world.times), dict(world.public)
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined] # what is durable may be made within
        with around:
            scene = Scene(world, int(time.time()), number)
            request = case.request(scene)
            _change(case.state, lane, world)
            yield case.name, _answer(case, request, scene, lane)
            transaction.set_rollback(True)
        if case.state:
            lane.begin()
        settings.RATE_LIMITS["tokens"] = 0
        world.known, world.times, world.public = known, times, public


def committed(cases: Iterable[Case], lane: Lane, empty: Callable[[], None]) -> Iterator[tuple[str, Answer]]:
    """Answer cases where everything is committed: a new world for each state, in which no case meets another's things.

    `empty` empties the database. Yields name and answer.
    """
    numbers = itertools.count()
    by_state = sorted(cases, key=lambda case: case.state)
    for state, group in itertools.groupby(by_state, key=lambda case: case.state):
        empty()
        world = worlds.build()
        lane.begin()
        for batch in itertools.batched(group, AT_ONCE if not state else 10_000):
            scenes = [Scene(world, int(time.time()), next(numbers)) for _ in batch]
            requests = [case.request(scene) for case, scene in zip(batch, scenes, strict=True)]
            _change(state, lane, world)
            for case, request, scene in zip(batch, requests, scenes, strict=True):
                yield case.name, _answer(case, request, scene, lane)
        settings.RATE_LIMITS["tokens"] = 0


def _change(state: str, lane: Lane, world: World) -> None:
    if state:
        states.change(world, state)
        lane.begin()


def _answer(case: Case, request: Request, scene: Scene, lane: Lane) -> Answer:
    for _ in range(case.times - 1):
        lane.answer(request)
    before = leftovers.marks()
    scene.asked = time.time()
    response = lane.answer(request)
    scene.answered = time.time()
    return normal.answer(response, leftovers.since(before), scene)
