"""Whoever runs a review is told what waits for their word, what was not proven, and what nobody is left to answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.models import Event
from entitlements.people import people
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.campaigns import close
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.remediation import remediation, verification
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers import assignment
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

type Move = Callable[[datetime | timedelta], datetime]


def _told(login: str, word: str) -> list[Notice]:
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    return list(Notice.objects.filter(person__login=login, sentence__contains=word))


def test_who_runs_a_review_is_asked_at_once_where_too_much_would_stop(
    company: Company, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.grant(company.bot, company.use, people=[company.alice], lasts=timedelta(days=90))
    first = worlds.campaign(company, slug="first")
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    worlds.campaign(company)
    monkeypatch.setattr(effects, "MOST_GRANTS", 0)
    at(timedelta(days=20))
    deadlines.apply_due()

    (told,) = _told("ana", "waits for your decision")
    assert (told.sentence, told.url, told.urgent) == (
        "1 access would stop because no reviewer answered in Fourth quarter. It waits for your decision.",
        "/reviews/q4/",
        True,
    )
    assert visits.as_(company.ana).get(told.url).status_code == 200


def test_a_removal_that_is_not_proven_is_told_once_to_who_runs_the_review_and_to_security(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    monkeypatch.setattr(
        verification, "probe", lambda _: {"holds": False, "calls": [], "tokens": [], "tried": {"calls": 0}}
    )
    for _again in range(2):
        remediation.verify(Remediation.objects.get().pk)

    for who in (company.ana, company.resa):
        (told,) = _told(who.login, "failed its verification")
        assert (told.urgent, visits.as_(who).get(told.url).status_code) == (True, 200)
    assert _told("sofia", "failed its verification") == []


def test_who_runs_a_review_is_told_that_nobody_is_left_once_however_many_items(company: Company, at: Move) -> None:
    at(timedelta())
    for name in ("one", "two"):
        agent = make.agent(name, sponsor=company.sofia)
        make.grant(agent, company.use, people=[company.sam])
    worlds.campaign(company)
    people.disable(company.sofia, by=company.resa.principal, reason="She has left.")
    assignment.reassign_leavers()

    (told,) = _told("ana", "has unassigned items")
    assert told.url == "/reviews/q4/"
