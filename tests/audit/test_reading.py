"""NodeReads the record: timelines, the stream of leaves, refusals, strangers, partitions, context and clock."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from audit import clock, context, log, stream
from audit.actions import Action
from audit.export import timeline
from audit.models import Cursor, Event, StrangerCount
from audit.refusals import refusals
from audit.retention import partitions
from tests.architecture import tree
from tests.audit import make

type Clock = Callable[[datetime | timedelta], datetime]


class NoGrantError(Exception):
    """A refusal."""

    code = "no_grant"


@pytest.mark.django_db
def test_a_timeline_has_everything_about_a_thing_in_order_even_at_one_instant(freeze: datetime) -> None:
    for n in range(5):
        make.event({"n": n}, about=("grant:1", f"tool:x/{n}"))
    make.event(about=("grant:2",))

    assert [event.detail["n"] for event in timeline.of("grant", 1)] == [0, 1, 2, 3, 4]
    assert [event.detail["n"] for event in timeline.about("tool:x/3")] == [3]
    assert timeline.of("person", "ana").count() == 6
    last = timeline.of("grant", 1).last()
    assert last is not None
    assert (last.at, last.detail) == (freeze, {"n": 4})


@pytest.mark.django_db
def test_a_trace_is_followed_by_its_id() -> None:
    with context.acting(trace="t1"):
        make.event({"n": 1})
    make.event({"n": 2})

    assert [event.detail["n"] for event in timeline.about("trace:t1")] == [1]
    assert not timeline.about("trace:").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_meet_without_a_gap_or_an_overlap(at: Clock, *, newest_first: bool) -> None:
    for n in range(10):
        make.event({"n": n})
        if n % 3 == 0:
            at(timedelta(milliseconds=1))
    seen: list[int] = []
    after = None
    while page := timeline.page(timeline.of("grant", 1), after=after, limit=3, newest_first=newest_first):
        seen += [event.detail["n"] for event in page]
        after = timeline.place(page[-1])

    assert seen == (list(range(9, -1, -1)) if newest_first else list(range(10)))


@pytest.mark.django_db(transaction=True)
def test_a_reader_sees_each_leaf_once_and_only_sealed_ones(archive: make.Archive) -> None:
    make.events(5)
    archive.seal()
    make.events(2)
    with stream.consume("export", limit=3) as first:
        assert [sealed.index for sealed in stream.events(first)] == [0, 1, 2]
    with stream.consume("export", limit=3) as second:
        assert [sealed.event.detail["n"] for sealed in stream.events(second)] == [3, 4]
    with stream.consume("export") as third:
        assert stream.events(third) == []
    assert Cursor.objects.get(name="export").position == stream.end() == 5


@pytest.mark.django_db(transaction=True)
def test_a_reader_names_the_actions_it_wants_and_begins_with_what_comes_from_now(archive: make.Archive) -> None:
    make.events(2)
    archive.seal()
    with stream.consume("triggers", from_now=True) as before:
        assert list(before) == []
    make.events(3)
    archive.seal()
    with stream.consume("triggers", limit=2, from_now=True) as leaves:
        assert list(leaves) == [2, 3]
        action = Event.objects.values_list("action", flat=True).distinct().get()
        assert [sealed.index for sealed in stream.events(leaves, [action])] == [2, 3]
        assert stream.events(leaves, [Action.AGENT_SUSPENDED]) == []


def test_the_log_is_read_onward_in_one_place() -> None:
    readers = {name for name, _, text in tree.modules(*tree.PRODUCTS) if "Cursor.objects" in text}
    assert readers == {"audit/stream.py"}


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_fails_reads_the_same_again(archive: make.Archive) -> None:
    make.events(5)
    archive.seal()

    def fails() -> None:
        with stream.consume("export"):
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with stream.consume("export") as again:
        assert len(again) == 5


@pytest.mark.django_db(transaction=True)
def test_a_second_reader_under_the_same_name_reads_nothing(archive: make.Archive) -> None:
    make.events(5)
    archive.seal()
    with stream.consume("export"), make.connect(os.environ["DATABASE_URL"]) as other:
        rows = other.execute("SELECT name FROM cursors WHERE name = 'export' FOR UPDATE SKIP LOCKED").fetchall()
    assert rows == []


@pytest.mark.django_db(transaction=True)
def test_a_stream_over_a_missing_event_stops_and_names_it(archive: make.Archive) -> None:
    make.events(5)
    archive.seal()
    make.tamper("DELETE FROM events WHERE sequence = 3")

    with pytest.raises(stream.EventMissing, match="leaf 2"):
        stream.events(range(5))


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_recorded_once_with_the_word_of_its_code() -> None:
    refusals.record(NoGrantError("No grant covers this."), by=make.ANA, about=["grant:1"])

    event = Event.objects.get()
    assert (event.action, event.outcome, event.code) == (Action.REFUSED, "refused", "no_grant")
    assert event.reason == "No grant covers this."


@pytest.mark.django_db(transaction=True)
def test_a_refusal_inside_the_transaction_that_it_would_roll_back_is_an_error() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        refusals.record(NoGrantError(), by=make.ANA)


@pytest.mark.django_db
def test_strangers_are_one_event_a_source_and_minute(at: Clock) -> None:
    at(datetime(2026, 11, 24, 15, 0, 10, tzinfo=UTC))
    for source in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        refusals.count_stranger("bad_token", source)
    assert refusals.close_minutes() == 0
    at(timedelta(minutes=1))

    assert refusals.close_minutes() == 2
    assert refusals.close_minutes() == 0
    events = Event.objects.filter(action=Action.AUTHENTICATION_FAILED)
    assert sorted((event.detail["source"], event.detail["count"], event.code) for event in events) == [
        ("192.0.2.1", 2, "bad_token"),
        ("192.0.2.2", 1, "bad_token"),
    ]


@pytest.mark.django_db
def test_the_same_refusal_of_one_caller_is_counted_after_ten_in_a_minute(at: Clock) -> None:
    at(datetime(2026, 11, 24, 15, 0, 10, tzinfo=UTC))
    for about in [["agent:a"]] * 11 + [["agent:b"], ["agent:a"]]:
        refusals.record_or_count(NoGrantError(), by=make.ANA, about=about)
    refusals.record_or_count(NoGrantError(), by=context.Principal("person", "ana-maria"), about=["agent:a"])
    at(timedelta(minutes=1))
    refusals.record_or_count(NoGrantError(), by=make.ANA, about=["agent:a"])
    assert refusals.close_minutes() == 1

    events = Event.objects.filter(action=Action.REFUSED).order_by("at", "sequence")
    assert [(event.actor, event.about, event.detail.get("count")) for event in events] == [
        *[("person:ana", ["agent:a"], None)] * 10,
        ("person:ana", ["agent:b"], None),
        ("person:ana-maria", ["agent:a"], None),
        ("person:ana", ["agent:a"], None),
        ("system:mandate", ["person:ana"], 2),
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("freeze")  # the bound counts by the minute, and a minute may end between two of them
def test_strangers_with_many_addresses_cannot_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MOST_SOURCES", 3)
    for n in range(10):
        refusals.count_stranger("bad_token", f"192.0.2.{n}")
    refusals.count_stranger("bad_token", "192.0.2.1")

    counts = dict(StrangerCount.objects.values_list("source", "count"))
    assert counts == {"192.0.2.0": 1, "192.0.2.1": 2, "192.0.2.2": 1, "*": 7}


@pytest.mark.django_db(transaction=True)
def test_months_to_come_have_partitions_and_a_date_beyond_them_still_has_a_place(at: Clock) -> None:
    assert partitions.ensure_months(12) == 0
    make.event()
    at(datetime(2060, 1, 1, tzinfo=UTC))
    make.event()

    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events ORDER BY at")
        tables = [name for (name,) in cursor.fetchall()]
    assert tables == [f"events_{datetime.now(UTC):%Y_%m}", "events_default"]


@pytest.mark.django_db(transaction=True)
def test_the_application_can_make_months_and_their_events_are_as_safe() -> None:
    assert partitions.ensure_months(14) in (0, 2)  # made once a database
    with make.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
        unsafe = owner.execute(
            "SELECT relname FROM pg_class c WHERE relispartition AND relname LIKE 'events_%' AND relkind = 'r'"
            " AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only'"
            "                 AND t.tgenabled = 'A')"
        ).fetchall()
        open_to_app = owner.execute(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
            " AND has_table_privilege('mandate_app', oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
        ).fetchall()
    assert unsafe == []
    assert open_to_app == []


def test_context_changes_for_a_block_alone() -> None:
    with context.acting(trace="a", source="x"):
        with context.acting(trace="b"):
            assert (context.current().trace, context.current().source) == ("b", "x")
        assert context.current().trace == "a"
    assert context.current() == context.Context()


@pytest.mark.parametrize("text", ["", "person:", "robot:x", "ana"])
def test_what_names_no_principal_is_refused(text: str) -> None:
    assert context.Principal.parse("person:ana") == make.ANA
    with pytest.raises(ValueError, match="names no principal"):
        context.Principal.parse(text)


@pytest.fixture
def fresh_clock() -> Iterator[None]:
    """Begin as a new process does, which has measured nothing, and leave nothing measured."""
    clock.forget()
    yield
    clock.forget()


@pytest.mark.usefixtures("fresh_clock")
def test_a_strict_process_tells_no_time_before_it_measured_it_or_when_it_is_skewed() -> None:
    clock.require_measured()
    with pytest.raises(clock.ClockUnknown):
        clock.now()
    measured = datetime.now(UTC)
    clock.set_offset(measured)
    assert measured <= clock.now() <= datetime.now(UTC)
    assert clock.offset_age() < float("inf")
    clock.set_offset(datetime.now(UTC) + timedelta(seconds=2))
    with pytest.raises(clock.ClockUnknown):
        clock.now()


@pytest.mark.usefixtures("fresh_clock")
def test_a_wall_clock_set_back_does_not_turn_back_a_measured_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_offset(datetime.now(UTC))
    before = clock.now()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 86_400)

    assert clock.now() >= before
    clock.forget()
    assert clock.now() < before


@pytest.mark.django_db
def test_every_action_says_subject_and_what_happened() -> None:
    for action in Action:
        subject, _, happened = action.value.partition(".")
        assert subject.isidentifier()
        assert happened.isidentifier()
    with transaction.atomic(), pytest.raises(ValueError, match="no such"):
        log.record("no such", by=make.ANA)  # type: ignore[arg-type]
