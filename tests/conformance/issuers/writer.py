"""Writes the record. It is a test, since it wants the servers and the database of one; only `record.py` collects it."""

from __future__ import annotations

import logging

import pytest

from tests import shared
from tests.conformance.issuers import corpus, recording, run, worlds
from tests.conformance.issuers.lanes import DjangoLane
from tests.conformance.issuers.worlds import World

made_world, world = shared.world(worlds.build)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log no refusals: there are thousands."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


@pytest.mark.loopback
@pytest.mark.timeout(900)
def test_writes_the_record(world: World) -> None:
    recording.write(dict(run.rolled_back(corpus.all_cases(), DjangoLane(), world)))
