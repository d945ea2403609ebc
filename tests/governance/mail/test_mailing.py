"""Mail by a real server: the urgent at once, the rest once a day where the person lives, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance import tasks
from governance.mail import letters, outbox, preferences
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice
from tests import make
from tests.governance.notices.sinks import Sink, sink
from tests.governance.reviews import worlds

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

type Clock = Callable[[datetime | timedelta], datetime]


@pytest.fixture
def server(settings: Settings) -> Iterator[Sink]:
    with sink() as running:
        settings.MAILERS = running.mailers
        settings.DEFAULT_FROM_EMAIL = "mandate@example.org"
        yield running


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def tell(
    whom: Person,
    sentence: str = "Something happened.",
    *,
    kind: Kind = Kind.REQUEST_WAITING,
    about: str = "agent:x",
    url: str = "/agents/x/",
) -> None:
    with transaction.atomic():
        queue.queue(
            kind,
            [whom],
            about=about,
            sentence=sentence,
            url=url,
            dedupe=f"{sentence} {Notice.objects.count()}",
            urgent=kind != Kind.REQUEST_WAITING,
        )


def choose(whom: Person, zone: str, hour: int = 8, quiet: tuple[int, int] | None = None, off: list[str] = []) -> None:  # noqa: B006 - only read
    begin, end = quiet or (None, None)
    preferences.change(
        whom, time_zone=zone, digest_hour=hour, quiet_from=begin, quiet_until=end, not_mailed=off, by=whom.principal
    )


def send() -> None:
    tasks.tell_people()
    tasks.send_notices()


def test_the_urgent_is_mailed_at_once_as_text_that_leads_to_a_page(
    ana: Person, server: Sink, settings: Settings
) -> None:
    tell(ana, "research-bot was stopped.", kind=Kind.AGENT_STOPPED)
    send()

    [mail] = server.messages
    assert [mail["To"], mail["Subject"]] == ["ana@example.org", "Mandate: research-bot was stopped."]
    assert [mail.get_content_type(), mail["Auto-Submitted"]] == ["text/plain", "auto-generated"]
    assert f"{settings.CONSOLE_URL}/agents/x/" in mail.get_content()
    delivery = Delivery.objects.get()
    assert [delivery.state, delivery.attempts, mail["Message-ID"]] == ["sent", 1, f"<{delivery.pk}@localhost>"]


def test_the_rest_comes_once_a_day_at_the_hour_where_the_person_lives(ana: Person, server: Sink, at: Clock) -> None:
    at(datetime(2026, 6, 1, 12, tzinfo=UTC))
    choose(ana, "Asia/Tokyo", 9)
    tell(ana, "First.")
    tell(ana, "Second.", about="agent:y")
    send()
    at(datetime(2026, 6, 1, 23, 59, tzinfo=UTC))
    send()
    assert server.messages == []

    at(datetime(2026, 6, 2, 0, 1, tzinfo=UTC))  # nine in Tokyo
    send()
    tell(ana, "Third.")
    send()
    [mail] = server.messages
    assert mail["Subject"] == "Mandate: 2 things to look at"
    assert "First." in mail.get_content()
    assert "2026-06-01 21:00 Asia/Tokyo" in mail.get_content()

    at(timedelta(days=1))
    send()
    at(timedelta(days=1))
    send()
    assert [mail["Subject"] for mail in server.messages[1:]] == ["Mandate: 1 thing to look at"], "nothing when empty"


def test_the_daily_mail_is_grouped_by_what_it_is_about(server: Sink, at: Clock, settings: Settings) -> None:
    at(datetime(2026, 6, 1, 9, tzinfo=UTC))
    company, review = worlds.reviewed()
    ana, grant = company.ana, Grant.objects.get()
    agent, access = f"agent:{company.bot.slug}", f"grant:{grant.pk}"
    tell(ana, "It is unused.", about=agent, url="/agents/research-bot/")
    at(timedelta(hours=1))
    tell(ana, "A review waits.", about=f"campaign:{review.slug}", url="/reviews/q4/work/")
    tell(ana, "Taken back.", about=access, url=f"/grants/{grant.pk}/")
    at(timedelta(hours=1))
    tell(ana, "It has a new owner.", about=agent, url="/proposals/1/")
    tell(ana, "Gone since.", about="request:7b0e6d9e-0000-4000-8000-000000000000", url="/requests/")
    Notice.objects.filter(sentence="Taken back.").update(urgent=True)
    at(datetime(2026, 6, 2, 8, 1, tzinfo=UTC))
    send()

    [mail] = server.messages
    assert mail["Subject"] == "Mandate: 4 things to look at"
    site = settings.CONSOLE_URL
    first, *parts = mail.get_content().replace("\r", "").split("\n\n")
    assert first == (
        f"Access: {company.bot.name}: {company.use.name}\n{site}/grants/{grant.pk}/\n"
        "- Urgent: Taken back.\n  2026-06-01 10:00 UTC"
    )
    assert {parts[0].splitlines()[0], parts[1].splitlines()[0]} == {"Access request", f"Agent: {company.bot.name}"}
    assert (
        f"Agent: {company.bot.name}\n{site}/proposals/1/\n- It has a new owner.\n  2026-06-01 11:00 UTC\n"
        f"- It is unused.\n  2026-06-01 09:00 UTC\n  {site}/agents/research-bot/" in parts
    )
    assert parts[2].startswith(f"Access review: Fourth quarter\n{site}/reviews/q4/work/\n- A review waits.")


def test_a_hostile_name_of_a_thing_makes_no_link_and_no_line_of_its_own(ana: Person, server: Sink, at: Clock) -> None:
    at(datetime(2026, 6, 1, 7, tzinfo=UTC))
    Agent.objects.filter(pk=make.agent("x").pk).update(name="bot\n- Urgent: https://evil.example\u202e")
    tell(ana)
    at(timedelta(days=1))
    send()
    [mail] = server.messages
    assert mail.get_content().splitlines()[0] == "Agent: bot - Urgent: https: //evil. example"


def test_what_was_read_in_the_inbox_is_not_mailed(ana: Person, server: Sink, at: Clock) -> None:
    at(datetime(2026, 6, 1, 7, tzinfo=UTC))
    tell(ana)
    assert queue.mark_read(ana) == 1
    at(timedelta(days=1))
    send()
    assert server.messages == []


@pytest.mark.parametrize(
    ("zone", "day", "hour", "expected"),
    [
        ("Europe/Berlin", (2026, 3, 28), 8, (7, 0)),  # winter
        ("Europe/Berlin", (2026, 3, 29), 8, (6, 0)),  # the morning after the clocks went forward
        ("Europe/Berlin", (2026, 3, 29), 2, (1, 0)),  # an hour that is not there
        ("Europe/Berlin", (2026, 10, 25), 2, (0, 0)),  # an hour that is there twice: the first
        ("America/St_Johns", (2026, 6, 1), 8, (10, 30)),
    ],
)
def test_the_hour_is_the_one_on_the_wall_also_when_the_clocks_change(
    ana: Person, zone: str, day: tuple[int, int, int], hour: int, expected: tuple[int, int]
) -> None:
    choose(ana, zone, hour)
    chosen = preferences.for_person(ana)
    moment = datetime(*day, *expected, tzinfo=UTC)
    assert preferences.digest_of(chosen, moment)[1] == moment
    assert preferences.digest_of(chosen, moment - timedelta(seconds=1))[1] < moment


@pytest.mark.parametrize(
    ("quiet", "now", "expected"),
    [
        ((22, 7), (2026, 3, 28, 22, 30), (2026, 3, 29, 5)),  # over the night in which an hour is lost
        ((22, 7), (2026, 3, 28, 20, 59), None),
        ((22, 7), (2026, 6, 2, 3, 0), (2026, 6, 2, 5)),
        ((12, 14), (2026, 6, 2, 10, 0), (2026, 6, 2, 12)),
        ((12, 14), (2026, 6, 2, 12, 0), None),
    ],
)
def test_in_quiet_hours_the_urgent_waits_for_their_end_unless_it_is_about_safety(
    ana: Person, quiet: tuple[int, int], now: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    choose(ana, "Europe/Berlin", quiet=quiet)
    chosen, moment = preferences.for_person(ana), datetime(*now, tzinfo=UTC)  # type: ignore[misc,arg-type]
    wanted = datetime(*expected, tzinfo=UTC) if expected else moment  # type: ignore[misc,arg-type]
    assert preferences.not_before(chosen, Kind.OFFICE_PROPOSED, moment) == wanted
    assert preferences.not_before(chosen, Kind.AGENT_STOPPED, moment) == moment


def test_kinds_are_switched_off_by_choice_but_never_safety(ana: Person, server: Sink) -> None:
    with pytest.raises(preferences.CannotBeSwitchedOff):
        choose(ana, "UTC", off=[Kind.AGENT_STOPPED])
    with pytest.raises(preferences.UnknownTimeZone):
        choose(ana, "Nowhere/Else")
    for bad in ((7, 7), (7, 24)):
        with pytest.raises(preferences.BadHours):
            choose(ana, "UTC", quiet=bad)
    choose(ana, "UTC", off=[Kind.OFFICE_PROPOSED])
    tell(ana, kind=Kind.OFFICE_PROPOSED)
    tell(ana, kind=Kind.AGENT_STOPPED)
    send()
    assert [len(server.messages), Notice.objects.count()] == [1, 2]


def test_hostile_names_neither_make_headers_nor_links(ana: Person, server: Sink) -> None:
    tell(
        ana,
        "\u202ebot\r\nBcc: all@example.org\r\n\r\n<img src=x> https://evil.example www.evil.example was stopped.",
        kind=Kind.AGENT_STOPPED,
    )
    send()
    [mail] = server.messages
    assert [mail["Bcc"], mail["To"]] == [None, "ana@example.org"]
    assert "https://evil" not in mail.get_content() + mail["Subject"]
    assert "www.evil" not in mail.get_content()
    assert "\u202e" not in mail.get_content() + mail["Subject"]


def test_what_is_not_taken_is_tried_again_later_and_later_then_given_up_and_can_be_replayed(
    ana: Person, server: Sink, at: Clock
) -> None:
    at(timedelta())
    server.answer = "451 later"
    tell(ana, kind=Kind.AGENT_STOPPED)
    gaps = []
    for _ in range(outbox.MOST_ATTEMPTS):
        assert outbox.send_one()
        assert not outbox.send_one(), "it waits"
        gaps.append(Delivery.objects.get().next_at - clock.now())
        at(Delivery.objects.get().next_at)
    found = Delivery.objects.get()
    assert [found.state, found.attempts, found.answer] == ["dead", 10, "451 later"]
    assert all(timedelta(minutes=2**n) <= gap < timedelta(minutes=1.5 * 2**n) for n, gap in enumerate(gaps[:8]))
    assert gaps[9] < timedelta(hours=9)
    assert not outbox.send_one()

    server.answer = "250 ok"
    outbox.replay(found.pk, by=SYSTEM)
    with pytest.raises(outbox.NotGivenUp):
        outbox.replay(found.pk, by=SYSTEM)
    send()
    assert len(server.messages) == 1
    assert Event.objects.filter(action__in=["delivery.given_up", "delivery.replayed"]).count() == 2


def test_an_address_that_is_not_there_is_mailed_no_more_until_the_person_says_so(ana: Person, server: Sink) -> None:
    server.answer = "550 no such user"
    tell(ana, "One.", kind=Kind.AGENT_STOPPED)
    send()
    assert [Delivery.objects.get().state, preferences.for_person(ana).bad_address] == ["dead", "ana@example.org"]
    tell(ana, "Two.", kind=Kind.AGENT_STOPPED)
    assert Delivery.objects.count() == 1
    choose(ana, "UTC")
    tell(ana, "Three.", kind=Kind.AGENT_STOPPED)
    assert Delivery.objects.count() == 2
    assert Event.objects.filter(action="person.address_bounced").count() == 1


def test_without_a_mail_server_there_is_an_inbox_and_no_mail(ana: Person, settings: Settings) -> None:
    settings.MAILERS = {}
    tell(ana, kind=Kind.AGENT_STOPPED)
    send()
    assert [Notice.objects.count(), Delivery.objects.count()] == [1, 0]


def test_a_worker_killed_before_it_sent_loses_nothing(
    ana: Person, server: Sink, at: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(timedelta())
    tell(ana, kind=Kind.AGENT_STOPPED)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(letters, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            outbox.send_one()
    assert not outbox.send_one()
    at(timedelta(minutes=2))
    assert outbox.send_one()
    assert len(server.messages) == 1


@pytest.mark.django_db(transaction=True)
def test_several_workers_and_a_double_beat_send_each_mail_once(server: Sink, at: Clock) -> None:
    at(datetime(2026, 6, 1, 7, tzinfo=UTC))
    people = [make.person(f"person{n}") for n in range(5)]
    for person in people:
        tell(person, "Stopped.", kind=Kind.AGENT_STOPPED)
        tell(person, "Waits.")
    at(timedelta(hours=2))

    def beat(_n: int) -> None:
        send()
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(beat, range(4)))
    sent = sorted((mail["To"], mail["Subject"]) for mail in server.messages)
    assert len(sent) == len(set(sent)) == 10
