"""Mixed operations while the sealer and a worker are killed twice: the record says each outcome once.

The short form does three hundred, `make full` a thousand as well.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event, Leaf, Pending
from entitlements import tasks
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.tokens.models import IssuedToken
from tests import make, waits
from tests.entitlements.edge import worlds

pytestmark = pytest.mark.django_db(transaction=True)

DUE = 150
WORKER = ["-m", "celery", "-A", "governance.celery", "worker", "--concurrency", "1", "--without-mingle"]


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
        running[0].wait(waits.SECONDS)


@dataclass
class Mixture:
    """Operations by chance, and the events that they must leave."""

    world: worlds.World
    crowd: list[Grant]
    chance: random.Random
    expected: Counter[str] = field(default_factory=lambda: Counter(Event.objects.values_list("action", flat=True)))

    def operate(self) -> None:
        """Do one thing, and expect what it leaves."""
        self.chance.choice([self.token, self.token, self.refusal, self.stop_and_go, self.replacement])()

    def token(self) -> None:
        assert self.world.alone().status == 200
        self.expected["token.issued"] += 1

    def refusal(self) -> None:
        assert self.world.alone(scope="time:nothing").status == 400
        self.expected["token.refused"] += 1

    def stop_and_go(self) -> None:
        grant = self.chance.choice(self.crowd)
        grants.suspend(grant.pk, by=SYSTEM, reason="test")
        grants.restore(grant.pk, by=SYSTEM, reason="test")
        self.expected.update(["grant.suspended", "grant.restored"])

    def replacement(self) -> None:
        old = self.crowd.pop(self.chance.randrange(len(self.crowd)))
        grants.revoke(old.pk, by=SYSTEM, reason="test")
        self.crowd.append(make.grant(old.agent, self.world.entitlement))
        self.expected.update(["grant.revoked", "grant.issued"])


@pytest.mark.parametrize("operations", [300, pytest.param(1000, marks=pytest.mark.soak)])
def test_mixed_operations_and_two_kills_leave_one_event_an_outcome(tmp_path: Path, operations: int) -> None:
    kills = (operations // 3, 2 * operations // 3)
    world = worlds.world()
    make.grant(world.agent, world.entitlement)  # for the agent on its own
    crowd = [make.grant(make.agent(), world.entitlement) for _ in range(20)]
    due = [make.grant(make.agent(), world.entitlement).pk for _ in range(DUE)]
    tasks.rotate_signing_keys()  # else a worker that starts makes the first keys
    assert world.alone().status == 200
    mixture = Mixture(world, crowd, random.Random(20261124))  # noqa: S311 - the same mixture each time

    places = {"ANCHOR_FILE": str(tmp_path / "anchor"), "SEAL_KEY_FILE": str(tmp_path / "seal.pem")}
    with process("manage.py", "seal", places=places) as kill_sealer, process(*WORKER, places=places) as kill_worker:
        for number in range(operations):
            mixture.operate()
            if number in kills:
                share = due[: DUE // 2] if number == kills[0] else due
                now = clock.now()
                Grant.objects.filter(pk__in=share, ended_at=None, expires_at__gt=now).update(expires_at=now)
                tasks.expire_grants.delay()
                time.sleep(mixture.chance.random() / 20)
                kill_sealer()
                kill_worker()
        tasks.expire_grants.delay()
        waits.until(lambda: not Grant.objects.filter(pk__in=due, ended_at=None).exists())
        waits.until(lambda: not Pending.objects.exists())

    mixture.expected["grant.expired"] = DUE
    found = Counter(Event.objects.values_list("action", flat=True))
    assert found == mixture.expected
    assert found["token.issued"] == IssuedToken.objects.count()
    assert Leaf.objects.count() == Event.objects.count()
    verify = [sys.executable, "manage.py", "verify_record"]
    environment = {**os.environ, **places}
    verified = subprocess.run(
        verify, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
