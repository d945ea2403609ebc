"""Discovery on a schedule: everybody's turn comes, whoever fails is asked less often, and nobody is asked twice."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from entitlements import tasks
from entitlements.catalog import discovery, systems
from entitlements.catalog.models import System
from entitlements.definition_watch import discovery_schedule
from tests import make

pytestmark = pytest.mark.django_db

EVERY = settings.DISCOVERY_EVERY
type Move = Callable[[datetime | timedelta], datetime]


def test_each_system_has_its_turn_once_an_interval_and_those_that_wait_longest_first(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery_schedule, "AT_ONCE", 2)
    at(clock.now())
    first, second, third = (make.system() for _ in range(3))

    assert discovery_schedule.claim_due() == [first.pk, second.pk]
    at(timedelta(minutes=1))
    assert discovery_schedule.claim_due() == [third.pk]
    assert discovery_schedule.claim_due() == []

    at(EVERY)
    assert discovery_schedule.claim_due() == [first.pk, second.pk]


def test_what_is_disabled_or_ours_or_local_or_without_address_has_no_turn() -> None:
    make.system(status="disabled")
    make.system(kind="known")
    System.objects.filter(pk=make.system().pk).update(upstream_url="")
    systems.ensure_builtin()

    assert discovery_schedule.claim_due() == []


def test_whoever_fails_is_asked_half_as_often_each_time_and_at_least_daily(at: Move) -> None:
    now = at(clock.now())
    system = make.system()
    waits = []
    for _ in range(20):
        discovery_schedule.record_failure(system, "timeout")
        system.refresh_from_db()
        assert system.ask_again_at is not None
        waits.append(system.ask_again_at - now)

    assert waits[:3] == [2 * EVERY, 4 * EVERY, 8 * EVERY]
    assert waits[-1] == timedelta(days=1)
    assert (system.failures, system.problem, system.asked_at) == (20, "timeout", now)


def test_an_answer_clears_what_failed_before(at: Move) -> None:
    now = at(clock.now())
    system = make.system()
    discovery_schedule.record_failure(system, "timeout")

    discovery.record_discovery(system, [], by=SYSTEM)

    system.refresh_from_db()
    assert (system.failures, system.problem, system.ask_again_at) == (0, "", now + EVERY)


def test_a_system_that_moved_is_asked_in_the_next_round() -> None:
    system = make.system()
    discovery_schedule.claim_due()
    discovery_schedule.record_failure(system, "timeout")

    systems.edit_system(system, upstream_url="https://elsewhere.example/", by=SYSTEM, reason="It moved.")

    assert discovery_schedule.claim_due() == [system.pk]
    assert System.objects.get(pk=system.pk).problem == ""


def test_a_round_sends_one_message_a_system_that_expires_with_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(tasks.discover_tools, "apply_async", lambda *args, **kwargs: sent.append((args, kwargs)))
    system = make.system()

    tasks.discover_all()
    tasks.discover_all()

    assert sent == [(((system.pk,),), {"expires": EVERY.total_seconds()})]


def test_the_sweep_goes_on_with_an_import_whose_worker_died(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(tasks.run_import, "delay", sent.append)
    monkeypatch.setattr("entitlements.catalog_files.imports.stalled", lambda: ["x"])

    tasks.resume_imports()

    assert sent == ["x"]
