"""record() writes one event with the change it tells of, numbered without gaps, or nothing."""

import json
import os
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError

from audit import context, draft, log, redaction
from audit.actions import Action
from audit.models import Event, Pending
from tests.audit import make


def numbers() -> list[int]:
    """The sequence numbers of all events, in order of their pending rows."""
    pending = Pending.objects.order_by("id").values_list("sequence", flat=True)
    assert sorted(pending) == sorted(Event.objects.values_list("sequence", flat=True))
    return list(pending)


@pytest.mark.django_db(transaction=True)
def test_recording_outside_a_transaction_is_refused() -> None:
    with pytest.raises(log.NotInTransaction):
        log.record(Action.REFUSED, by=make.ANA)
    with pytest.raises(log.NotInTransaction):
        log.record_many(Action.REFUSED, [log.Row()], by=make.ANA)


@pytest.mark.django_db
def test_an_event_says_who_what_for_whom_why_and_where_from() -> None:
    with context.acting(
        trace="t1", request_id="r1", source="192.0.2.7", session="s1", on_behalf_of=context.Principal("person", "bob")
    ):
        log.record(
            Action.REFUSED,
            by=context.Principal("agent", "bot"),
            about=["tool:crm/read", "grant:1", "grant:1"],
            outcome="refused",
            code="no_grant",
            reason="because",
            detail={"n": 1},
        )

    event = Event.objects.get()
    assert (event.actor, event.on_behalf_of, event.outcome, event.code) == (
        "agent:bot",
        "person:bob",
        "refused",
        "no_grant",
    )
    assert (event.reason, event.trace, event.source, event.session) == ("because", "t1", "192.0.2.7", "s1")
    assert event.about == ["grant:1", "tool:crm/read"]
    assert event.links == ["agent:bot", "grant:1", "person:bob", "session:s1", "tool:crm/read"]
    assert event.detail == {"n": 1}


@pytest.mark.django_db
def test_the_body_names_the_row_it_is_in_and_is_canonical() -> None:
    event = make.event({"b": 1, "a": 2})

    said = json.loads(event.body)
    assert said["uuid"] == str(event.uuid)
    assert said["at"] == redaction.moment(event.at)
    assert (UUID(said["producer"]), said["sequence"]) == (event.producer, event.sequence)
    assert event.body == json.dumps(said, separators=(",", ":"), sort_keys=True)
    assert Event.objects.get().body == event.body


@pytest.mark.django_db(transaction=True)
def test_numbers_are_dense_under_rollbacks_and_savepoints() -> None:
    make.event()
    with make.rolled_back():
        log.record(Action.REFUSED, by=make.ANA)
    with transaction.atomic():
        log.record(Action.REFUSED, by=make.ANA)
        with make.rolled_back():
            log.record(Action.REFUSED, by=make.ANA)
            log.record_many(Action.REFUSED, [log.Row()] * 3, by=make.ANA)
        with transaction.atomic():
            log.record(Action.REFUSED, by=make.ANA)
        log.record_many(Action.REFUSED, [log.Row()] * 3, by=make.ANA)
    make.event()

    assert numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert Event.objects.values("producer").distinct().count() == 1


@pytest.mark.django_db(transaction=True)
def test_numbers_are_dense_when_another_callback_raises_before_ours_runs() -> None:
    def raises() -> None:
        raise KeyError

    def records_after_a_callback_that_raises() -> None:
        with transaction.atomic():
            transaction.on_commit(raises)
            log.record(Action.REFUSED, by=make.ANA)

    with pytest.raises(KeyError):
        records_after_a_callback_that_raises()
    make.event()

    assert numbers() == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_numbers_are_dense_when_a_callback_records_before_ours_runs() -> None:
    with transaction.atomic():
        transaction.on_commit(make.event)
        log.record(Action.REFUSED, by=make.ANA)
    make.event()

    assert numbers() == [1, 2, 3]


@pytest.mark.django_db
def test_numbers_are_dense_inside_a_test_that_is_rolled_back(
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    first = make.event().sequence
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        make.event()
    make.event()

    assert numbers() == [first, first + 1, first + 2]


@pytest.mark.django_db(transaction=True)
def test_callbacks_that_a_test_runs_inside_a_transaction_use_up_no_number_when_it_is_rolled_back() -> None:
    with make.rolled_back():
        log.record(Action.REFUSED, by=make.ANA)
        for hook in connection.run_on_commit:
            hook[1]()
    make.event()

    assert numbers() == [1]


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_is_a_new_producer() -> None:
    first = make.event()
    connection.close()
    second = make.event()

    assert first.producer != second.producer
    assert (first.sequence, second.sequence) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_in_a_transaction_ends_its_producer_with_a_marker() -> None:
    def loses_its_connection() -> None:
        with transaction.atomic():
            log.record(Action.REFUSED, by=make.ANA)
            _kill(connection.connection.info.backend_pid)
            log.record(Action.REFUSED, by=make.ANA)

    first = make.event()
    with pytest.raises(OperationalError):
        loses_its_connection()
    connection.close()
    after = make.event()

    marker = Event.objects.get(action=Action.PRODUCER_ENDED)
    assert marker.detail == {"producer": str(first.producer), "committed": 1, "attempted": 2}
    assert (marker.producer, marker.sequence, after.sequence) == (after.producer, 1, 2)


def _kill(pid: int) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.django_db
def test_many_rows_are_one_statement_and_keep_their_order(django_assert_num_queries: Callable[..., object]) -> None:
    make.event()
    rows = [log.Row(about=[f'issuer:https://x/"{n},\\{{}}', "grant:1"], detail={"n": n}) for n in range(20)]
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        assert log.record_many(Action.REFUSED, rows, by=make.ANA) == 20

    written = list(Event.objects.order_by("sequence"))[1:]
    assert [event.detail["n"] for event in written] == list(range(20))
    assert [event.about for event in written] == [sorted(row.about) for row in rows]
    assert all(event.links == sorted([*event.about, "person:ana"]) for event in written)


@pytest.mark.django_db
def test_one_event_is_one_statement(django_assert_num_queries: Callable[..., object]) -> None:
    make.event()
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        log.record(Action.REFUSED, by=make.ANA)


@pytest.mark.django_db
def test_an_event_that_is_refused_uses_up_no_number() -> None:
    first = make.event().sequence
    for spoiled in ({"about": ["nonsense"]}, {"about": ["grant:a b"]}, {"about": ["grant:\x00"]}, {"outcome": "maybe"}):
        with pytest.raises(draft.BadEvent):
            log.record(Action.REFUSED, by=make.ANA, **spoiled)
    with pytest.raises(redaction.Unrepresentable):
        log.record(Action.REFUSED, by=make.ANA, detail={"n": 2**60})
    with pytest.raises(draft.BadEvent):
        log.record(Action.REFUSED, by=make.ANA, detail={str(n): "x" * 4000 for n in range(30)})

    assert make.event().sequence == first + 1


@pytest.mark.django_db
def test_secrets_and_nul_do_not_reach_the_row() -> None:
    with context.acting(trace="a\x00b", source="Bearer abcdefgh12345"):
        event = log.record(Action.REFUSED, by=make.ANA, reason="Bearer abcdefgh12345 \x00", detail={"token": "t0k3n"})

    stored = Event.objects.get()
    assert "abcdefgh12345" not in stored.body
    assert "t0k3n" not in stored.body
    assert stored.reason == "[redacted] [U+0000]"
    assert stored.trace == event.trace == "a[U+0000]b"
