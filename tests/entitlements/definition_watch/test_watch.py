"""Which node listens to which system, and which comparisons are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection

from audit import clock
from entitlements.definition_watch import comparisons, watch
from entitlements.definition_watch.models import DefinitionWatch
from tests import make

pytestmark = pytest.mark.django_db
type Move = Callable[[datetime | timedelta], datetime]


def run(statement: str, values: object) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)  # type: ignore[arg-type]
        return [str(row[0]) for row in cursor.fetchall()]


def leased(node: str) -> list[str]:
    return run(watch._LEASE, {"node": node, "seconds": 15, "most": 10})


def test_a_system_is_listened_to_by_one_node_until_it_lets_go_or_its_lease_ends() -> None:
    system = make.system("time")
    make.system("off", status="disabled")
    make.system("local", kind="stdio", upstream_url="stdio:x")

    assert leased("node-1") == ["time"]
    assert leased("node-2") == []
    assert run(watch._RENEW, [15, "node-2", ["time"]]) == []
    assert run(watch._RENEW, [15, "node-1", ["time"]]) == ["time"]

    assert run(watch._LET_GO, [0, "node-2", ["time"]]) == []
    assert run(watch._LET_GO, [0, "node-1", ["time"]]) == ["time"]
    assert leased("node-2") == ["time"]
    DefinitionWatch.objects.filter(system=system).update(node_until=clock.now() - timedelta(seconds=1))
    assert leased("node-1") == ["time"]


def test_a_system_that_offers_no_stream_is_left_alone_for_a_while() -> None:
    make.system("time")
    leased("node-1")
    run(watch._LET_GO, [900, "node-1", ["time"]])

    assert leased("node-1") == leased("node-2") == []


def test_a_comparison_that_was_just_made_is_not_asked_for_by_a_list_but_by_the_system_itself() -> None:
    system = make.system("time")
    assert run(watch._ASK, ["time", 10]) == [str(system.pk)]
    assert run(watch._ASK, ["time", 10]) == []  # it waits already
    assert comparisons.claim_due() == [system.pk]
    assert comparisons.claim_due() == []

    assert run(watch._ASK, ["time", 10]) == []
    assert run(watch._ASK, ["time", 0]) == [str(system.pk)]
    assert run(watch._ASK, ["nothing", 0]) == []


def test_a_system_that_cries_without_end_is_compared_once_a_second(at: Move) -> None:
    at(clock.now())
    system = make.system("time")
    run(watch._ASK, ["time", 0])
    assert comparisons.claim_due() == [system.pk]
    run(watch._ASK, ["time", 0])

    assert comparisons.claim_due() == []
    at(timedelta(seconds=1))
    assert comparisons.claim_due() == [system.pk]
