"""What the record says is told: to those whom it concerns, once, and not to whoever did it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import clock
from audit.actions import Action
from audit.models import Cursor, Event
from entitlements.agents import agents
from entitlements.catalog import tools
from entitlements.grants import grants
from entitlements.people.models import Person
from entitlements.risk import risk
from entitlements.risk.risk import NewSignal
from entitlements.risk.rules import Kind as SignalKind
from entitlements.risk.rules import Mode, Policy, Response
from entitlements.risk.subject import RiskSubject
from entitlements.words import Risk
from governance.approvals import approvals
from governance.eligibility.narrowing import Narrowing
from governance.notices import listener, notifiers
from governance.notices.audience import Message
from governance.notices.models import Notice
from governance.ownership import ownership
from governance.requests import requests
from governance.reviews.items import answer
from tests import make
from tests.audit import make as records
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return companies.found()


def told() -> dict[str, tuple[str, ...]]:
    """Read the whole record, and return what each person finds in their inbox, the latest last."""
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    found: dict[str, tuple[str, ...]] = {}
    for notice in Notice.objects.order_by("made_at", "pk").select_related("person"):
        found[notice.person.login] = (*found.get(notice.person.login, ()), notice.sentence)
    return found


def test_a_request_is_told_to_whoever_it_waits_for_and_its_answers_to_whoever_asked(company: Company) -> None:
    request = company.ask("now", "remove")
    assert told() == dict.fromkeys(("sofia", "sam"), ("A request waits for you: research-bot asks for clock:use.",))

    approvals.approve(request.pk, by=company.sofia, narrow=Narrowing(frozenset({"now"})))
    Notice.objects.all().delete()
    assert told()["otto"] == ("Approved, but less than you asked: clock:use for research-bot. See what was left out.",)


def test_who_decides_about_signals_is_told_once_an_hour_that_one_holds_a_person(company: Company) -> None:
    held = Policy(Response.HOLD, Mode.ENFORCE)
    for _ in range(2):
        where, now = "issuer:https://idp", clock.now()
        new = NewSignal(SignalKind.ACCOUNT_DISABLED, Risk.HIGH, where, "It says so.", now, str(uuid4()), answer=held)
        risk.note(RiskSubject(person=company.alice), new)
    security = Person.objects.holding("security")
    assert {*told()} == {person.login for person in [*security, *Person.objects.holding("admin")]}
    (said,) = told()[security[0].login]
    assert said.startswith("A signal of issuer:https://idp holds the agents of a person")


@pytest.mark.parametrize("by", ["sofia", "otto"])
def test_the_end_of_a_request_is_not_told_to_whoever_ended_it(company: Company, by: str) -> None:
    request = company.ask()
    if by == "sofia":
        approvals.deny(request.pk, by=company.sofia, reason="no")
    else:
        requests.cancel(request.pk, company.otto)
    denied = ("Denied: clock:use for research-bot. The request says why.",)
    assert told() == ({"otto": denied} if by == "sofia" else {})


def test_taking_access_back_is_told_to_whom_it_served_and_who_answers(company: Company) -> None:
    grant = make.grant(company.bot, company.use, people=[company.alice])
    grants.revoke(grant.pk, by=company.sofia.principal, reason="enough")
    assert told() == dict.fromkeys(("otto", "alice"), ("Taken back from research-bot: clock:use.",))


def test_a_stop_and_a_changed_tool_are_urgent(company: Company) -> None:
    agents.suspend(company.bot, by=company.ana.principal, reason="odd")
    tools.quarantine(company.use.lines.get(tool__name="now").tool, by=company.ana.principal, reason="odd")
    assert told() == {
        "sofia": ("research-bot was stopped.",),
        "otto": ("research-bot was stopped.",),
        "sam": ("now of clock is stopped until it is reviewed.",),
    }
    assert all(Notice.objects.values_list("urgent", flat=True))


def test_whoever_is_proposed_is_told_where_to_answer(company: Company) -> None:
    proposal = ownership.propose(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="leaves")
    assert told() == {"mona": ("You are asked to answer for research-bot.",)}
    assert Notice.objects.get().url == f"/proposals/{proposal.pk}/"


def test_an_event_that_cannot_be_told_keeps_nobody_from_the_next(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(_event: Event) -> list[Message]:
        raise ZeroDivisionError

    monkeypatch.setitem(notifiers.NOTIFIERS, Action.AGENT_SUSPENDED, breaks)
    company.ask()
    agents.suspend(company.bot, by=company.ana.principal, reason="odd")
    proposal = ownership.propose(company.bot, "backup", company.mona, by=company.ana.principal, reason="leaves")
    assert list(told()) == ["sofia", proposal.person.login]
    assert "could not be queued" in caplog.text


def test_those_who_answer_hear_once_that_long_access_ends_within_a_week(
    company: Company, at: Callable[[Any], Any]
) -> None:
    make.grant(company.bot, company.use, people=[company.alice], lasts=timedelta(days=30))
    short = make.entitlement(company.system)
    make.grant(company.bot, short, lasts=timedelta(days=8))
    assert listener.remind() == 0
    at(timedelta(days=24))
    assert [listener.remind(), listener.remind()] == [2, 0]
    assert set(Notice.objects.values_list("person__login", flat=True)) == {"sofia", "otto"}


@pytest.mark.django_db(transaction=True)
def test_what_was_sealed_since_is_told_once_by_however_many_workers_that_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = records.Archive(tmp_path, Ed25519PrivateKey.generate())
    company = companies.found()
    company.ask(people=[company.bob])  # before anybody listened
    archive.seal()
    assert listener.listen() == 0
    company.ask()
    assert listener.listen() == 0, "what is not sealed is not told"
    archive.seal()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(listener, "_queue", killed)
        with pytest.raises(KeyboardInterrupt):
            listener.listen()
    assert [listener.listen() > 0, listener.listen()] == [True, 0]
    assert Notice.objects.filter(kind="request_waiting").count() == 1
    Cursor.objects.update(position=0)
    listener.listen()
    assert Notice.objects.filter(kind="request_waiting").count() == 2, "each request once, though one was read twice"


def test_an_answer_in_a_review_is_told_to_whom_its_item_asks_next_and_to_no_other_reviewer(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    other = make.agent("other-bot", sponsor=company.mona)
    make.grant(other, company.use, people=[company.alice])
    campaign = worlds.campaign(company)
    mine, hers = (campaign.items.get(agent=agent) for agent in (company.bot, other))
    assert worlds.live(hers).reviewer == company.mona
    worlds.answer(campaign, company.sofia, [(mine, worlds.KEEP)])
    second = worlds.live(mine).reviewer
    assert second is not None

    listener.notify(Event.objects.get(action=Action.REVIEW_DECIDED))

    assert [notice.person for notice in Notice.objects.all()] == [second]


def test_whom_an_item_asks_after_somebody_could_not_judge_is_told(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, answer.Answer("abstain", "not_mine"))])
    listener.notify(Event.objects.get(action=Action.REVIEW_ABSTAINED))
    assert [notice.person for notice in Notice.objects.all()] == [worlds.live(item).reviewer]
