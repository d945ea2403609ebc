"""Each lane answers every case as recorded. `python -m tests.conformance.issuers.record` writes the record anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from tests import shared
from tests.conformance.issuers import corpus, recording, run, worlds
from tests.conformance.issuers.lanes import EdgeLane
from tests.conformance.issuers.worlds import World

pytestmark = pytest.mark.loopback
made_world, world = shared.world(worlds.build)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log no refusals: there are thousands."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


INTENDED = (
    "browser.",  # what Django's middleware adds for browsers: the edge serves no pages
    "headers.access-control-",  # any origin may ask, without credentials
)
"""What the edge answers otherwise than the release before (docs/decisions/0061-the-edge.md)."""


def _is_intended(case: str, line: str) -> bool:
    """Tell whether a difference is one that was decided. An assertion for introspection is used up in memory alone."""
    return line.startswith(INTENDED) or ("introspect" in case and line.startswith('left.claimed: [{"issuer": "client:'))


def compare(answers: Iterable[tuple[str, recording.Answer]]) -> None:
    """Fail with a readable difference for the first cases that are not answered as recorded."""
    recorded, wrong = recording.read(), []
    for name, answered in answers:
        differences = recording.differences(recorded.get(name, {}), answered)
        if lines := [line for line in differences if not _is_intended(name, line)]:
            wrong.append("\n    ".join([name, *lines[:12]]))
    assert not wrong, f"{len(wrong)} answers differ:\n\n" + "\n\n".join(wrong[:12])


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_the_edge_answers_as_recorded(world: World, family: str) -> None:
    compare(run.rolled_back(corpus.FAMILIES[family](), EdgeLane(), world))
