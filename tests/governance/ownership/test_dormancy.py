from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.errors import ReasonRequired
from entitlements.tokens.models import IssuedToken
from governance import tasks
from governance.ownership import dormancy
from governance.ownership.models import Dormancy
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
type At = Callable[[datetime | timedelta], datetime]


made_world, company = shared.world(companies.found)


def _days(at: At, days: float) -> None:
    at(Agent.objects.earliest("created_at").created_at + timedelta(days=days))
    tasks.look_after_unused()
    tasks.look_after_unused()


def _stands(company: Company) -> tuple[str, int]:
    agent = Agent.objects.get(pk=company.bot.pk)
    step = Dormancy.objects.filter(agent=agent).values_list("step", flat=True).first()
    return agent.status, step or 0


def _happened(company: Company) -> list[str]:
    told = timeline.of("agent", company.bot.slug).filter(action__startswith="agent.")
    return [event.action for event in told][1:]


def test_an_agent_never_used_is_warned_of_asked_about_and_stopped_each_once(company: Company, at: At) -> None:
    for days, step in [(29, 0), (31, 1), (44, 1), (47, 2), (89, 2)]:
        _days(at, days)
        assert _stands(company) == ("active", step), days
    _days(at, 93)
    assert _stands(company) == ("suspended", 0)
    assert _happened(company) == ["agent.dormant", "agent.need_asked", "agent.suspended"]


def test_nothing_is_stopped_that_nobody_was_asked_about_first(company: Company, at: At) -> None:
    _days(at, 200)
    assert _stands(company) == ("active", 1)
    _days(at, 216)
    assert _stands(company) == ("active", 2)
    _days(at, 262)
    assert _stands(company) == ("suspended", 0)
    agents.restore(company.bot, by=company.ana.principal, reason="once a year")
    _days(at, 263)
    assert _stands(company) == ("active", 1)


def test_who_keeps_an_agent_says_why_and_it_counts_as_a_use(company: Company, at: At) -> None:
    with pytest.raises(dormancy.NotDormant):
        dormancy.keep(company.bot, by=company.sofia, reason="needed at the year's end")
    _days(at, 31)
    with pytest.raises(ReasonRequired):
        dormancy.keep(company.bot, by=company.sofia, reason=" ")
    dormancy.keep(company.bot, by=company.sofia, reason="needed at the year's end")
    _days(at, 60)
    assert _stands(company) == ("active", 0)
    _days(at, 62)
    assert _stands(company) == ("active", 1)
    event = timeline.of("agent", company.bot.slug).filter(action=Action.AGENT_KEPT).get()
    assert (event.actor, event.reason) == ("person:sofia", "needed at the year's end")


def test_a_token_is_a_use(company: Company, at: At) -> None:
    _days(at, 31)
    now = at(timedelta(days=1))
    client, _secret = make.client(company.bot)
    IssuedToken.objects.create(
        kind=IssuedToken.Kind.ACCESS_TOKEN,
        agent=company.bot,
        client=client,
        system=company.system,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    tasks.look_after_unused()
    assert _stands(company) == ("active", 0)


def test_what_is_stopped_already_is_left_alone(company: Company, at: At) -> None:
    _days(at, 31)
    agents.suspend(company.bot, by=SYSTEM, reason="an incident")
    _days(at, 50)
    assert _stands(company) == ("suspended", 0)


def test_the_sponsor_is_asked_at_home_and_keeps_it_or_retires_it(company: Company, at: At) -> None:
    _days(at, 31)
    _days(at, 47)
    for who, sees in [(company.sofia, True), (company.otto, False)]:
        assert ("still needed?" in visits.text(visits.as_(who).get("/"))) is sees
    page, path = "/agents/research-bot/", "/agents/research-bot/needed/"
    assert 'name="retire"' not in visits.text(visits.as_(company.otto).get(page))
    assert visits.as_(company.otto).post(path, {"retire": "yes", "reason": "old"}).status_code == 403
    sofia = visits.as_(company.sofia)
    assert 'name="retire"' in visits.text(sofia.get(page))
    assert sofia.post(path, {"keep": "yes"}).status_code == 422
    assert sofia.post(path, {"keep": "yes", "reason": "next year"}).status_code == 302
    assert _stands(company) == ("active", 0)
    assert sofia.post(path, {"retire": "yes", "reason": "no more"}).status_code == 302
    assert _stands(company) == ("retired", 0)


def test_people_keep_and_retire_by_api_and_strangers_do_not(company: Company, at: At) -> None:
    _days(at, 31)
    path, body = "/api/v1/agents/research-bot/", {"reason": "next year"}
    assert api.of(company.mallory).post(path + "keep", body).status_code == 404
    responder = make.person(roles=["responder"])
    assert [api.of(responder).post(path + act, body).status_code for act in ("keep", "retire")] == [403, 403]
    assert api.of(company.otto).post(path + "keep", body).status_code == 200
    assert api.of(company.otto).post(path + "keep", body).json()["code"] == "agent_not_dormant"
    assert api.of(company.otto).post(path + "retire", body).status_code == 403
    assert api.of(company.sofia).post(path + "retire", body).json()["status"] == "retired"
