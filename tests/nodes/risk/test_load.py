"""A thousand events a second for some seconds: how many a node takes, and how long its decisions wait meanwhile.

Printed, and to be read on a quiet machine. `EVENTS_A_SECOND` and `EVENT_SECONDS` choose another load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from entitlements.risk import follow
from entitlements.risk.models import SecurityEvent
from tests import databases
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.worlds import CAEP, claims, stream, token
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import world as gateways
from tests.nodes.risk import flood
from tests.nodes.risk.test_process import is_active

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
QUIET = 3
SECONDS = int(os.environ.get("EVENT_SECONDS", "10"))


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001
    with databases.emptied(django_db_blocker), gateways.gateway("flooded") as node:
        made = worlds.world()
        stream(made)
        made.http = Wire(node.base)  # type: ignore[assignment]  # it posts, and does nothing else
        yield made
        made.http.http.close()  # type: ignore[attr-defined]  # as above


def _waits(world: World, access_token: str, until: float) -> list[float]:
    """Ask whether a token is live until a moment; returns the milliseconds of each answer."""
    waits = []
    while time.monotonic() < until:
        begun = time.monotonic()
        assert is_active(world, access_token)
        waits.append((time.monotonic() - begun) * 1000)
    return waits


def _print(when: str, waits: list[float]) -> None:
    cuts = statistics.quantiles(waits, n=100)
    sys.stdout.write(f"\n{when}: {len(waits)} decisions, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


def test_a_flood_of_events_is_taken_beside_decisions(world: World, tmp_path: Path) -> None:
    said = [claims(f"{CAEP}token-claims-change", payload={"claims": {"n": n}}) for n in range(flood.RATE * SECONDS)]
    bodies = tmp_path / "events"
    bodies.write_text("\n".join(token(world, each) for each in said))
    access_token = world.access_token()
    _print("quiet", _waits(world, access_token, time.monotonic() + QUIET))
    base = world.http.http.base_url  # type: ignore[attr-defined]  # as above
    command = [sys.executable, "-m", flood.__name__, str(bodies), base.host, str(base.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        _print("under events", _waits(world, access_token, time.monotonic() + SECONDS))
        answer = json.loads(sender.communicate()[0])
    sys.stdout.write(f"\n{answer['taken']} events of {len(said)} taken in {answer['seconds']:.1f} s")
    assert answer["taken"] == len(said) == SecurityEvent.objects.count()
    begun = time.monotonic()
    assert follow.follow_waiting() > 0
    sys.stdout.write(f"\n{follow.AT_ONCE} events followed in {time.monotonic() - begun:.1f} s by one worker\n")
