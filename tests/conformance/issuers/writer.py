"""Writes the record. It is a test, since it wants the servers and the database of one; only `record.py` collects it."""

from __future__ import annotations

import logging

import pytest

from tests import shared
from tests.conformance.issuers import corpus, recording, run, worlds
from tests.conformance.issuers.lanes import EdgeLane
from tests.conformance.issuers.worlds import World

made_world, world = shared.world(worlds.build)


@pytest.mark.loopback
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_writes_the_record(world: World, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    recording.write(family, dict(run.rolled_back(corpus.FAMILIES[family](), EdgeLane(), world)))
