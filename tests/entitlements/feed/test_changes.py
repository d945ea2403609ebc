"""The change feed: its order is the order of commits, and a transaction says it once."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection, transaction

from audit import clock
from entitlements.feed import changes
from entitlements.feed.models import Change, GatewayNode
from tests import databases, make

ROUNDS = 150


def _note_and_commit_late(number: int) -> None:
    """Insert a row, let others overtake, then commit."""
    try:
        with transaction.atomic():
            changes.note(changes.Kind.TOOL, f"tool:t/{number}")
            time.sleep(random.random() / 300)  # noqa: S311 - to shuffle commits, not to hide anything
    finally:
        connection.close()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_out_of_order_commits_never_hide_a_change_row() -> None:
    read: list[int] = []
    done = threading.Event()

    def follow() -> None:
        with psycopg.connect(databases.addresses().app, autocommit=True) as reader:
            while True:
                last_look = done.is_set()
                rows = reader.execute(
                    "SELECT seq FROM entitlements_change WHERE seq > %s ORDER BY seq", [read[-1] if read else 0]
                ).fetchall()
                read.extend(seq for (seq,) in rows)
                if last_look:
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(_note_and_commit_late, range(ROUNDS)))
    done.set()
    follower.join()

    committed = list(Change.objects.order_by("seq").values_list("seq", flat=True))
    by_insertion = list(Change.objects.order_by("pk").values_list("seq", flat=True))
    assert len(committed) == ROUNDS
    assert by_insertion != committed, "no transaction overtook another: the round proves nothing"
    assert read == committed


@pytest.mark.django_db(transaction=True)
def test_a_transaction_notifies_once_and_only_when_it_commits() -> None:
    with psycopg.connect(databases.addresses().app, autocommit=True) as listener:
        listener.execute(f"LISTEN {changes.CHANNEL}")
        with transaction.atomic():
            for number in range(3):
                changes.note(changes.Kind.TOOL, f"tool:t/{number}")
        with transaction.atomic():
            changes.note(changes.Kind.TOOL, "tool:t/never")
            transaction.set_rollback(True)

        heard = list(listener.notifies(timeout=0.2))

    first = Change.objects.order_by("seq").values_list("seq", flat=True)[0]
    assert [note.payload for note in heard] == [str(first)]


@pytest.mark.django_db(transaction=True)
def test_a_change_has_its_place_only_after_the_commit() -> None:
    with transaction.atomic():
        noted = changes.note(changes.Kind.TOOL, "tool:t/1")
        assert changes.last_noted() == noted
        with pytest.raises(LookupError):
            changes.position(noted)

    assert changes.position(noted) == changes.position(None)


@pytest.mark.django_db(transaction=True)
def test_waiting_names_who_obeyed_and_who_fell_silent() -> None:
    now = clock.now()
    GatewayNode.objects.create(id="quick", started_at=now, polled_at=now, position=7)
    GatewayNode.objects.create(id="frozen", started_at=now, polled_at=now, position=6)
    GatewayNode.objects.create(id="gone", started_at=now, polled_at=now, position=0, stopped_at=now)

    acknowledged, missing = changes.wait_for_nodes(7, time.monotonic())

    assert [each["node"] for each in acknowledged] == ["quick"]
    assert [each["node"] for each in missing] == ["frozen"]
    assert "T" in str(missing[0]["lease_lapsed_at"])


@pytest.mark.django_db
def test_many_agents_get_one_row_each() -> None:
    first, second = make.agent(), make.agent()

    changes.note_many(changes.Kind.GRANT, [first.pk, second.pk, first.pk], "grant:expired")

    assert set(Change.objects.filter(subject="grant:expired").values_list("agent", flat=True)) == {first.pk, second.pk}
