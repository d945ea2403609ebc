"""The change feed: its order is the order of commits, and a transaction says it once."""

from __future__ import annotations

import inspect
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from audit import clock
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.models import SUBJECTS, Change, GatewayNode
from tests import databases, make, waits

ROUNDS = 150


def note(number: int) -> int:
    locks.exclusive((Lock.TOOL, number))
    return changes.note(subjects.tool(number))


def _note_and_commit_late(number: int) -> None:
    """Insert a row, let others overtake, then commit."""
    try:
        with transaction.atomic():
            note(number)
            time.sleep(random.random() / 300)  # noqa: S311 - to shuffle commits, not to hide anything
    finally:
        connection.close()


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
                note(number)
        with transaction.atomic():
            note(99)
            transaction.set_rollback(True)

        heard = list(listener.notifies(timeout=waits.MOMENT))

    first = Change.objects.order_by("seq").values_list("seq", flat=True)[0]
    assert [note.payload for note in heard] == [str(first)]


@pytest.mark.django_db(transaction=True)
def test_a_change_has_its_place_only_after_the_commit() -> None:
    with transaction.atomic():
        noted = note(1)
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
def test_of_many_changes_each_agent_gets_one_row() -> None:
    first, second = make.agent(), make.agent()
    granted = [subjects.grant(uuid4()) for _ in range(3)]
    locks.exclusive(*(each.lock for each in granted if each.lock))

    changes.note_many(granted, of=[subjects.agent(agent.pk) for agent in (first, second, first)])

    rows = Change.objects.order_by("agent").values_list("agent", "kind", "grant_id", "concerns_all")
    assert list(rows) == [(first.pk, "grant", None, False), (second.pk, "grant", None, False)]


@pytest.mark.django_db
def test_a_single_change_is_named_with_whose_it_is() -> None:
    agent, granted = make.agent(), uuid4()
    locks.exclusive((Lock.GRANT, granted))

    changes.note(subjects.grant(granted), of=[subjects.agent(agent.pk)])

    assert Change.objects.values_list("agent", "grant_id").get() == (agent.pk, granted)


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["not at all", "shared", "another", "given back"])
def test_nobody_notes_a_change_without_its_lock(how: str) -> None:
    if how == "shared":
        locks.shared([(Lock.TOOL, 1)])
    elif how == "another":
        locks.exclusive((Lock.TOOL, 2), (Lock.SYSTEM, 1))
    elif how == "given back":
        with transaction.atomic():
            locks.exclusive((Lock.TOOL, 1))
            assert not locks.not_held([(Lock.TOOL, 1)])
            transaction.set_rollback(True)
    for noting in (
        lambda: changes.note(subjects.tool(1)),
        lambda: changes.note_many([subjects.tool(1)], of=[subjects.system(1)]),
    ):
        with pytest.raises(changes.NotLocked):
            noting()

    assert not Change.objects.exists()


@pytest.mark.django_db
def test_a_lock_taken_in_a_savepoint_serves_after_it() -> None:
    with transaction.atomic():
        locks.exclusive((Lock.TOOL, 1))

    changes.note(subjects.tool(1), of=[subjects.system(1)])

    assert Change.objects.values_list("tool_id", "system_id").get() == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_lock_of_the_transaction_before_serves_nobody() -> None:
    with transaction.atomic():
        locks.exclusive((Lock.TOOL, 1))
    with transaction.atomic(), pytest.raises(changes.NotLocked):
        changes.note(subjects.tool(1))


@pytest.mark.django_db
def test_what_no_lock_guards_is_only_named_beside_what_changed() -> None:
    with pytest.raises(changes.NotLocked):
        changes.note(subjects.group(1))
    with pytest.raises(changes.NotLocked):
        changes.note(of=[subjects.agent(1)])


@pytest.mark.django_db
def test_a_row_that_would_name_nobody_or_two_of_a_kind_is_refused() -> None:
    locks.exclusive((Lock.TOOL, 1), (Lock.TOOL, 2))
    with pytest.raises(ValueError, match="one subject of a kind"):
        changes.note(subjects.tool(1), subjects.tool(2))
    with pytest.raises(IntegrityError, match="a_change_names_a_subject_or_concerns_all"), transaction.atomic():
        Change.objects.create(kind="tool", subject="tool:1", noted_at=clock.now())


@pytest.mark.django_db
def test_what_the_release_before_writes_concerns_all() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO entitlements_change (kind, subject, noted_at) VALUES ('vault', 'system:a', now())")

    assert Change.objects.get().concerns_all


def test_each_column_of_a_change_is_a_kind_of_change() -> None:
    named = [value for name, value in vars(subjects).items() if inspect.isfunction(value) and name in subjects.KINDS]
    assert (
        {f"{each.__name__}_id" for each in named}
        == set(SUBJECTS)
        == {f"{kind}_id" for kind in subjects.KINDS - {"everything", "drill"}}
    )
