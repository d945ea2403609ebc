"""Those who answer for agents and sources of people hear in time: of what is urgent at once, or after the night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import personal_agents
from entitlements.clients import acceptance, clients
from entitlements.connections import connections
from entitlements.grants import grants
from entitlements.people.models import Person, Role
from entitlements.people_sources import sources
from governance import tasks
from governance.approvals import approvals
from governance.mail import outbox, preferences
from governance.notices import listener
from governance.notices.models import Delivery, Notice
from governance.out_of_office import delegations
from governance.ownership import dormancy, ownership
from governance.request_changes import appeal as appeal_actions
from governance.webhooks import webhooks
from governance.webhooks.webhooks import EVENTS
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.notices.sinks import Sink, sink

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

type Clock = Callable[[datetime | timedelta], datetime]


made_world, company = shared.world(companies.found)


@pytest.fixture
def server(settings: Settings) -> Iterator[Sink]:
    with sink() as running:
        settings.MAILERS = running.mailers
        settings.DEFAULT_FROM_EMAIL = "mandate@example.org"
        yield running


def told() -> dict[str, set[str]]:
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    found: dict[str, set[str]] = {}
    for notice in Notice.objects.select_related("person"):
        found.setdefault(notice.person.login, set()).add(notice.sentence)
    return found


@pytest.mark.usefixtures("company")
def test_of_an_unused_agent_its_people_hear_before_it_is_stopped(at: Clock) -> None:
    at(timedelta(days=31))
    dormancy.take_steps()
    warned = told()
    assert set(warned) == {"sofia", "otto"}
    assert all("research-bot is unused." in said for says in warned.values() for said in says)
    at(timedelta(days=15))
    dormancy.take_steps()
    day = f"{clock.now() + timedelta(days=45):%Y-%m-%d}"
    asked = f"Say whether research-bot is still needed: it is unused, and it is suspended on {day}."
    assert {login: asked in says for login, says in told().items()} == {"sofia": True, "otto": True}


def test_the_question_whether_an_agent_is_needed_is_mailed_at_once_but_waits_for_the_end_of_the_night(
    company: Company, server: Sink, at: Clock
) -> None:
    preferences.change(
        company.sofia, time_zone="UTC", digest_hour=8, quiet_from=22, quiet_until=7, not_mailed=[], by=SYSTEM
    )
    at(timedelta(days=31))
    dormancy.take_steps()
    night = (clock.now() + timedelta(days=16)).replace(hour=23, minute=0, second=0, microsecond=0)
    at(night)
    dormancy.take_steps()
    told()
    while outbox.send_one():
        pass
    due = dict(Delivery.objects.values_list("person__login", "next_at"))
    morning = (night + timedelta(days=1)).replace(hour=7)
    assert due["sofia"] == morning
    assert [str(mail["To"]) for mail in server.messages] == [company.otto.email]
    at(morning)
    tasks.send_notices()
    assert company.sofia.email in [str(mail["To"]) for mail in server.messages]


def test_the_mail_of_the_day_waits_for_the_end_of_quiet_hours(company: Company, server: Sink, at: Clock) -> None:
    preferences.change(
        company.sofia, time_zone="UTC", digest_hour=5, quiet_from=22, quiet_until=7, not_mailed=[], by=SYSTEM
    )
    evening = (clock.now() + timedelta(days=1)).replace(hour=20)
    at(evening)
    company.ask()
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    at(evening + timedelta(hours=9, minutes=30))
    tasks.tell_people()
    assert Delivery.objects.get(person=company.sofia).next_at.hour == 7
    tasks.send_notices()
    assert company.sofia.email not in [str(mail["To"]) for mail in server.messages]


def test_suspended_access_is_told_to_whom_it_served_and_who_answers(company: Company) -> None:
    grant = make.grant(company.bot, company.use, people=[company.alice])
    grants.suspend(grant.pk, by=company.sofia.principal, reason="odd")
    said = {"Suspended until it is restored: clock:use of research-bot."}
    assert told() == dict.fromkeys(("otto", "alice"), said)


def test_a_paused_source_is_urgent_news_for_platform_admins(company: Company) -> None:
    admin = make.person("adam", roles=[Role.ADMIN])
    source, _token = sources.make("hr", name="The directory", subjects_of=None, by=company.ana.principal)
    now = clock.now()
    dates = {"created_at": now, "changed_at": now}
    for number in range(sources.AT_LEAST):
        source.people.create(person=make.person(), user_name=f"gone{number}", active=False, left_at=now, **dates)
    last = source.people.create(person=company.bob, user_name="bob", **dates)
    assert sources.hold_removal(last, by=source.principal)
    said = "The directory would remove too many people at once, so it removes no one until you look."
    assert told() == {admin.login: {said}}
    assert Notice.objects.get().urgent


def test_who_answers_in_anothers_place_hears_of_a_request_at_once(company: Company) -> None:
    now = clock.now()
    delegations.make(company.rob, starts_at=now, ends_at=now + timedelta(days=9), by=company.sofia, reason="On leave.")
    told()
    company.ask()
    waits = "A request waits for you: research-bot asks for clock:use."
    assert {login for login, says in told().items() if waits in says} >= {"sofia", "rob"}


def test_whoever_proposed_somebody_hears_what_they_said(company: Company) -> None:
    first = ownership.propose(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="leaves")
    ownership.decline(first.pk, by=company.mona, reason="no time")
    assert told()["ana"] == {"Mona will not answer for research-bot. Propose another person."}
    second = ownership.propose(company.bot, "sponsor", company.bob, by=company.ana.principal, reason="leaves")
    ownership.accept(second.pk, by=company.bob)
    assert "Bob now answers for research-bot, as you proposed." in told()["ana"]


def test_who_may_accept_a_credential_hears_of_it_and_who_asked_of_the_answer(company: Company) -> None:
    def ask(client_id: str, by: Person) -> clients.Registered:
        return clients.register(client_id, agent=company.bot, auth="none", by=by.principal)

    waiting = ask("desk", company.ana).waiting
    assert waiting is not None
    waits = {"A new client of research-bot, desk, works only after you or another sponsor or owner accepts it."}
    assert told() == {"sofia": waits, "otto": waits}
    acceptance.accept(waiting.pk, by=company.sofia)
    works = {"research-bot has a new client, which works from now on: desk."}
    assert told() == {"sofia": waits, "otto": waits | works, "ana": works}
    ask("own", company.otto)
    assert "research-bot has a new client, which works from now on: own." in told()["sofia"]
    refused = ask("other", company.ana).waiting
    assert refused is not None
    acceptance.refuse(refused.pk, by=company.otto.principal, reason="Not ours.")
    assert any(each.startswith("The credential that you asked for was refused: other") for each in told()["ana"])


def test_whoever_denied_hears_what_others_said_on_appeal(company: Company) -> None:
    request = company.ask()
    approvals.deny(request.pk, by=company.sofia, reason="no")
    appeal = appeal_actions.appeal(request.pk, by=company.otto, reason="We need it.")
    while appeal.state == "in_approval":
        waits = Person.objects.filter(approvals_waiting__request=appeal, approvals_waiting__answer="waiting")
        appeal = approvals.approve(appeal.pk, by=waits.order_by("pk")[0])
    assert "Others approved on appeal what you answered: clock:use for research-bot." in told()["sofia"]


def test_other_programs_can_be_told_of_an_emergency() -> None:
    assert {"break_glass.declared", "break_glass.ended", "break_glass.reviewed"} <= set(map(str, EVENTS))
    assert webhooks._PAGES["emergency"] == "emergencies"


@pytest.mark.usefixtures("company")
def test_of_a_personal_agent_the_manager_hears_once_and_without_one_the_analysts() -> None:
    boss, bob = make.person("boss"), make.person("bert")
    ada = make.person("ada", manager=boss)
    client = make.personal_client("desk-client")
    first = personal_agents.connect(client, ada)
    connections.end(first.pk, by=ada.principal, reason="over")
    personal_agents.connect(client, ada)
    sentence = f"{ada.name} has a personal agent from now on, by a sign-in at desk-client. It has no access yet."
    assert sentence in told()["boss"]
    assert Notice.objects.filter(person=boss).count() == 1
    assert sentence not in told().get("ana", ())

    personal_agents.connect(client, bob)

    assert sentence.replace(ada.name, bob.name) in told()["ana"]


@pytest.mark.usefixtures("company")
def test_of_a_sign_in_that_two_used_its_people_and_the_person_hear() -> None:
    agent = make.agent("desk-bot")
    make.person("ada")
    links = ["token_family:7", "client:desk-client", f"agent:{agent.slug}", "person:ada"]
    log.record(Action.TOKEN_FAMILY_REUSED, about=links, by=agent.principal, reason="It was used again.")

    heard = {who: " ".join(sentences) for who, sentences in told().items()}

    assert agent.owner is not None
    for who in (agent.sponsor.login, agent.owner.login, "ada"):
        assert "desk-client" in heard[who], who
        assert "was used twice and has ended" in heard[who]
    assert heard["ada"].startswith("Your sign-in")


@pytest.mark.usefixtures("company")
def test_of_a_sign_in_at_a_client_without_an_agent_the_person_hears() -> None:
    client, _ = make.client(None, "desk-client")
    make.person("ada")
    links = ["token_family:7", f"client:{client.client_id}", "person:ada"]
    log.record(Action.TOKEN_FAMILY_REUSED, about=links, by=SYSTEM, reason="It was used again.")
    assert "Your sign-in at desk-client was used twice" in " ".join(told()["ada"])
