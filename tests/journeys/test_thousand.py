"""A thousand mixed operations while the sealer and a worker are killed twice: the record says each outcome once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event, Leaf, Pending
from entitlements import grants, tasks
from entitlements.models import Grant, IssuedToken
from tests import make
from tests.entitlements.oauth import worlds

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault, pytest.mark.slow]

OPERATIONS = 1000
DUE = 150
KILLS = (OPERATIONS // 3, 2 * OPERATIONS // 3)
WORKER = ["-m", "celery", "-A", "governance.celery", "worker", "--concurrency", "1", "--without-mingle", "-l", "ERROR"]


@contextmanager
def process(*command: str, places: dict[str, str]) -> Iterator[Callable[[], None]]:
    """Run a process of the product; what it yields kills it hard and starts it again."""
    environment = {**os.environ, **places}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *command], cwd=settings.BASE_DIR, env=environment)

    running = [start()]

    def kill() -> None:
        running[0].kill()
        running[0].wait()
        running[0] = start()

    try:
        yield kill
    finally:
        running[0].terminate()
        running[0].wait(20)


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_thousand_operations_and_two_kills_leave_one_event_an_outcome(tmp_path: Path) -> None:
    chance = random.Random(20261124)  # noqa: S311 - the same mixture each time
    world = worlds.world()
    make.grant(world.agent, world.entitlement)  # for the agent on its own
    crowd = [make.grant(make.agent(), world.entitlement) for _ in range(20)]
    due = [make.grant(make.agent(), world.entitlement).pk for _ in range(DUE)]
    assert world.alone().status == 200  # makes the key
    expected: Counter[str] = Counter(Event.objects.values_list("action", flat=True))

    def token() -> str:
        return "token.issued" if world.alone().status == 200 else "never"

    def refusal() -> str:
        assert world.alone(scope="time:nothing").status == 400
        return "token.refused"

    def stop_and_go() -> str:
        grant = chance.choice(crowd)
        if grants.suspend(grant.pk, by=SYSTEM, reason="test").state == Grant.State.SUSPENDED:
            expected["grant.restored"] += 1
            grants.restore(grant.pk, by=SYSTEM, reason="test")
        return "grant.suspended"

    def replacement() -> str:
        old = crowd.pop(chance.randrange(len(crowd)))
        grants.revoke(old.pk, by=SYSTEM, reason="test")
        crowd.append(make.grant(old.agent, world.entitlement))
        expected["grant.issued"] += 1
        return "grant.revoked"

    places = {"ANCHOR_FILE": str(tmp_path / "anchor"), "SEAL_KEY_FILE": str(tmp_path / "seal.pem")}
    with process("manage.py", "seal", places=places) as kill_sealer, process(*WORKER, places=places) as kill_worker:
        for number in range(OPERATIONS):
            expected[chance.choice([token, token, refusal, stop_and_go, replacement])()] += 1
            if number in KILLS:
                share = due[: DUE // 2] if number == KILLS[0] else due
                Grant.objects.filter(pk__in=share, ended_at=None).update(expires_at=clock.now())
                tasks.expire_grants.delay()
                time.sleep(chance.random() / 20)
                kill_sealer()
                kill_worker()
        tasks.expire_grants.delay()
        until(lambda: not Grant.objects.filter(pk__in=due, ended_at=None).exists())
        until(lambda: not Pending.objects.exists())

    expected["grant.expired"] = DUE
    found = Counter(Event.objects.values_list("action", flat=True))
    assert found == expected
    assert found["token.issued"] == IssuedToken.objects.count()
    assert Leaf.objects.count() == Event.objects.count()
    verified = subprocess.run(
        [sys.executable, "manage.py", "verify_record"],
        cwd=settings.BASE_DIR,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
