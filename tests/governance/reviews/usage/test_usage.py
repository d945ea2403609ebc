from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from audit.models import Cursor
from entitlements.grants.models import Grant, GrantLine
from governance.reviews.items.models import ReviewLine
from governance.reviews.usage import replay as replay_actions
from governance.reviews.usage import usage
from governance.reviews.usage.models import UsageDay
from governance.reviews.usage.tighter_limits import NumberRange
from tests import make
from tests.audit.make import Archive
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.reviews import worlds

type Move = Callable[[datetime | timedelta], datetime]
BOT = Principal("agent", "research-bot")


@pytest.fixture
def archive(transactional_db: None, tmp_path: Path) -> Archive:  # noqa: ARG001
    return Archive(tmp_path, Ed25519PrivateKey.generate())


def call(
    grant: Grant | None,
    tool: str = "now",
    *,
    action: Action = Action.CALL_ALLOWED,
    person: str = "alice",
    **measured: object,
) -> None:
    links = [f"tool:clock/{tool}"] if grant is None else [f"grant:{grant.pk}", f"tool:clock/{tool}"]
    outcome = "success" if action is Action.CALL_ALLOWED else "refused"
    with transaction.atomic(), context.acting(on_behalf_of=Principal("person", person)):
        log.record(action, by=BOT, about=links, outcome=outcome, detail={"tool": tool, "measured": measured})


def test_calls_are_added_up_by_line_and_day_once_however_often_the_sweep_dies(archive: Archive) -> None:
    _, grant = worlds.found()
    for person in ("alice", "bob", "alice"):
        call(grant, person=person)
    call(grant, "convert", action=Action.CALL_DENIED)
    call(None, "wipe", action=Action.CALL_DENIED)
    call(grant, "no-such-tool")
    archive.seal()
    with transaction.atomic():
        assert usage.roll_up()
        transaction.set_rollback(True)  # as where the worker is killed
    assert not UsageDay.objects.exists()

    while usage.roll_up(limit=3):
        pass
    assert usage.roll_up() == 0
    rows = {(row.tool.name, row.grant_id): row for row in UsageDay.objects.select_related("tool", "agent")}
    assert {name: (row.calls, row.denied, len(row.people)) for name, row in rows.items()} == {
        ("now", grant.pk): (3, 0, 2),
        ("convert", grant.pk): (0, 1, 0),
        ("wipe", None): (0, 1, 0),
    }
    assert {row.agent.slug for row in rows.values()} == {"research-bot"}

    call(grant, person="bob")
    archive.seal()
    usage.roll_up()
    row = UsageDay.objects.get(tool__name="now")
    assert (row.calls, len(row.people)) == (4, 2)


def test_a_review_counts_the_days_and_what_the_sweep_has_not_read_each_once(archive: Archive) -> None:
    company, grant = worlds.found()
    call(grant)
    archive.seal()
    usage.roll_up()
    call(grant)
    archive.seal()  # sealed, not swept
    call(grant)  # not even sealed
    worlds.campaign(company)
    assert ReviewLine.objects.get(tool__name="now").calls_window == 3


@pytest.mark.django_db
def test_days_before_the_window_do_not_count_and_weeks_are_told_apart() -> None:
    company, grant = worlds.found()
    tool, today = grant.lines.get(tool__name="now").tool, clock.now()
    for days, calls in ((91, 50), (89, 4), (7, 2), (0, 1)):
        at = today - timedelta(days=days)
        UsageDay.objects.create(
            agent=company.bot, grant=grant, tool=tool, day=at.date(), calls=calls, denied=0, last_at=at
        )
    worlds.campaign(company)
    assert ReviewLine.objects.get(tool=tool).calls_window == 7
    assert usage.weekly([grant.pk], today)[grant.pk] == [4, *[0] * 10, 2, 1]


@pytest.mark.django_db
def test_people_denials_and_age_are_told_by_line_and_nothing_is_where_nothing_is_seen(archive: Archive) -> None:
    company, grant = worlds.found()
    for person in ("alice", "bob", "alice"):
        call(grant, person=person)
    call(grant, "convert", action=Action.CALL_DENIED)
    call(None, "wipe", action=Action.CALL_DENIED)
    archive.seal()
    usage.roll_up()
    call(grant, person="carol")  # the sweep has not read it
    native = make.grant(company.bot, make.entitlement(make.system("native", kind="mcp", owner=company.sam)))

    told = {
        line.tool.name: usage.of_lines([grant.pk, native.pk], clock.now())[line.grant_id, line.tool_id]
        for line in GrantLine.objects.select_related("tool")
    }

    now = told["now"]
    assert (now.grade, now.calls, now.people, now.denied, now.full) == ("A", 4, 3, 0, False)
    assert (told["convert"].calls, told["convert"].denied, told["convert"].is_unused) == (0, 1, False)
    blind = told[native.lines.get().tool.name]
    assert (blind.grade, blind.calls, blind.people, blind.is_unused) == ("B", None, None, False)
    assert usage.denied_beyond(company.bot.pk, clock.now()) == [("clock/wipe", 1)]
    later = usage.of_lines([grant.pk], clock.now() + timedelta(days=91))
    assert all(each.is_unused for each in later.values())


def test_between_which_numbers_calls_were_is_known_over_days_sweeps_and_what_is_not_swept(archive: Archive) -> None:
    company, grant = worlds.found()
    for amount in (30, 10.5, 12):
        call(grant, amount=amount)
    call(grant, action=Action.CALL_DENIED, amount=900)
    call(grant, pin=4, note="text", amount="none")  # a name that is never kept, and what is no number
    call(None, "wipe", amount=1)
    archive.seal()
    usage.roll_up(limit=2)
    while usage.roll_up():
        pass
    assert UsageDay.objects.get(tool__name="now").ranges == {"amount": [10.5, 30, 3]}
    call(grant, amount=250, days=3)
    archive.seal()  # sealed, not swept
    call(grant, amount=7)  # not even sealed

    line = grant.lines.get(tool__name="now")
    told = usage.of_lines([grant.pk], clock.now())
    assert told[grant.pk, line.tool_id].numbers == {"amount": NumberRange(7, 250, 5), "days": NumberRange(3, 3, 1)}
    assert told[grant.pk, line.tool_id].ranges == {"amount": [7, 250], "days": [3, 3]}
    assert told[grant.pk, grant.lines.get(tool__name="convert").tool_id].ranges == {}
    page = visits.text(visits.as_(company.ana).get(f"/grants/{grant.pk}/", secure=True))
    assert "amount was 7 to 250" in page
    assert "days was always 3" in page
    shown = client.of(company.ana).get(f"/api/v1/grants/{grant.pk}/use").json()
    assert {each["tool"]: each["arguments"] for each in shown["lines"]}["now"] == {"amount": [7, 250], "days": [3, 3]}


def test_of_days_from_before_numbers_were_counted_they_are_known_of_no_call(archive: Archive) -> None:
    _, grant = worlds.found()
    call(grant, amount=30)
    archive.seal()
    usage.roll_up()
    UsageDay.objects.update(ranges={"amount": [10, 30]})
    call(grant, amount=40)
    archive.seal()
    usage.roll_up()
    assert UsageDay.objects.get().ranges == {"amount": [10, 40, 1]}
    call(grant, amount=20)
    archive.seal()
    usage.roll_up()
    assert UsageDay.objects.get().ranges == {"amount": [10, 40, 2]}
    line = grant.lines.get(tool__name="now")
    assert usage.of_lines([grant.pk], clock.now())[grant.pk, line.tool_id].numbers == {"amount": NumberRange(10, 40, 2)}


def test_calls_of_the_first_day_of_the_window_are_replayed_as_they_are_counted(archive: Archive, at: Move) -> None:
    _, grant = worlds.found()
    grant.lines.filter(tool__name="now").update(limits={"amount": {"max": 10_000}})
    early = at(clock.now().replace(hour=1))
    call(grant, amount=420)
    archive.seal()
    usage.roll_up()
    at(early + usage.WINDOW + timedelta(hours=8))
    replay = replay_actions.of_grant(grant, [], {"now": {"amount": {"max": 1_000}}})
    assert (replay.calls, replay.undecided) == (1, 0)


def test_the_sweep_begins_with_the_first_event_so_that_history_counts() -> None:
    assert usage.roll_up() == 0
    assert Cursor.objects.get(name=usage.CURSOR).position == 0
