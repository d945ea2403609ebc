"""Writes the record. It is a test, since it wants the servers and the database of one; only `record.py` collects it.

What is answered as recorded, or otherwise as decided, stays as it is written: a difference shows what changed alone.
"""

from __future__ import annotations

import logging

import pytest

from tests import shared
from tests.protocols.issuers import corpus, recording, run, worlds
from tests.protocols.issuers.lanes import EdgeLane
from tests.protocols.issuers.test_recorded import is_decided
from tests.protocols.issuers.worlds import World

made_world, world = shared.world(worlds.build)


@pytest.mark.loopback
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_writes_the_record(world: World, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    recorded = recording.read(family) if recording.file_of(family).exists() else {}
    answers = dict(run.rolled_back(corpus.FAMILIES[family](), EdgeLane(), world))
    for name, answer in answers.items():
        found = recording.differences(recorded.get(name, {}), answer)
        if all(is_decided(name, line) for line in found):
            answers[name] = recorded[name]
    recording.write(family, answers)
