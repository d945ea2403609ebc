"""Each lane answers every case as recorded. `python -m tests.conformance.issuers.record` writes the record anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from tests import shared
from tests.conformance.issuers import corpus, recording, run, worlds
from tests.conformance.issuers.lanes import DjangoLane
from tests.conformance.issuers.worlds import World

pytestmark = pytest.mark.loopback
made_world, world = shared.world(worlds.build)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log no refusals: there are thousands."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


def compare(answers: Iterable[tuple[str, recording.Answer]]) -> None:
    """Fail with a readable difference for the first cases that are not answered as recorded."""
    recorded, wrong = recording.read(), []
    for name, answered in answers:
        if lines := list(recording.differences(recorded.get(name, {}), answered)):
            wrong.append("\n    ".join([name, *lines[:12]]))
    assert not wrong, f"{len(wrong)} answers differ:\n\n" + "\n\n".join(wrong[:12])


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_todays_lane_answers_as_recorded(world: World, family: str) -> None:
    compare(run.rolled_back(corpus.FAMILIES[family](), DjangoLane(), world))
