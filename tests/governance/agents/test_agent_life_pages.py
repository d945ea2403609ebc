"""The life of agents at the screen: put into use by the sponsor, which kinds there may be, what one runs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.access.caller import Caller
from entitlements.agents import agents, lifecycle, versions
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import RoleAssignment
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.tokens.models import IssuedToken
from governance.agents import summaries
from governance.agents.queries import agents as read
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
BOT = {"name": "Travel desk", "purpose": "Books trains.", "sponsor": "sofia", "owner": "otto"}


made_world, company = shared.world(companies.found)


def test_the_sponsor_puts_a_staged_agent_into_use_and_nobody_else_is_offered_it(company: companies.Company) -> None:
    said = {"name": "New", "kind": "shared", "sponsor": company.sofia, "owner": company.otto, "purpose": "Books."}
    agents.register("new", **said, staged=True, by=SYSTEM)  # type: ignore[arg-type]
    page = visits.text(visits.as_(company.ana).get("/agents/new/"))
    assert "before Sofia accepts its sponsorship" in page
    assert "Accept and activate" not in page
    assert visits.as_(company.ana).post("/agents/new/activate/", {"reason": "mine"}).status_code == 403
    sofia = visits.as_(company.sofia)
    assert "Accept and activate" in visits.text(sofia.get("/agents/new/"))
    assert sofia.post("/agents/new/activate/", {"reason": ""}).status_code >= 400
    assert sofia.post("/agents/new/activate/", {"reason": "We need it."}).status_code == 302
    assert Agent.objects.get(slug="new").status == Agent.Status.ACTIVE


def test_security_says_which_kinds_there_may_be_and_the_form_offers_no_other(company: companies.Company) -> None:
    assert "Disallow" not in visits.text(visits.as_(company.ana).get("/settings/agents/"))
    assert visits.as_(company.ana).post("/settings/agents/", {"kind": "service", "reason": "x"}).status_code == 403
    resa = visits.as_(company.resa)
    assert "Disallow" in visits.text(resa.get("/settings/agents/"))
    assert (
        resa.post("/settings/agents/", {"kind": "service", "refuse": "yes", "reason": "Nobody looks."}).status_code
        == 302
    )
    assert "Nobody looks." in visits.text(resa.get("/settings/agents/"))
    ana = visits.as_(company.ana)
    assert 'value="service"' not in visits.text(ana.get("/agents/add/"))
    assert ana.post("/agents/add/", {**BOT, "kind": "service"}).status_code == 422
    assert lifecycle.allowed_kinds() == {"personal", "shared", "ephemeral"}


def test_an_analyst_says_on_the_page_that_the_business_cannot_do_without_an_agent(company: companies.Company) -> None:
    ana, address = visits.as_(company.ana), "/agents/research-bot/"
    assert "Mark as business-critical" not in visits.text(visits.as_(company.sofia).get(address))
    assert "Mark as business-critical" in visits.text(ana.get(address))
    assert ana.post(f"{address}criticality/", {"critical": "yes", "reason": "It closes the books."}).status_code == 302
    assert Agent.objects.get(slug="research-bot").business_critical
    page = visits.text(ana.get(address))
    assert "Business-critical" in page
    assert "No longer business-critical" in page


def test_an_ephemeral_agent_is_given_its_end_in_hours_and_a_purpose_is_needed(company: companies.Company) -> None:
    ana = visits.as_(company.ana)
    for wrong in ({"kind": "ephemeral"}, {"kind": "ephemeral", "hours": "25"}, {"kind": "shared", "hours": "2"}):
        assert ana.post("/agents/add/", {**BOT, **wrong}).status_code == 422, wrong
    assert ana.post("/agents/add/", {**BOT, "kind": "shared", "purpose": " "}).status_code == 422
    assert ana.post("/agents/add/", {**BOT, "kind": "ephemeral", "hours": "2"}).status_code == 302
    ends = Agent.objects.get(slug="travel-desk").ends_at
    assert ends is not None
    assert timedelta(0) < ends - clock.now() <= timedelta(hours=2)
    assert "Retires" in visits.text(ana.get("/agents/travel-desk/"))


def test_the_page_tells_what_an_agent_runs_and_which_clients_nobody_uses(company: companies.Company) -> None:
    versions.report(company.bot, versions.Version("opus-4", "c" * 64, source="ci"), by=SYSTEM)
    make.client(company.bot, "old")
    Client.objects.update(idle="closed", status="disabled", idle_since=clock.now())
    ana = visits.as_(company.ana)
    page = visits.text(ana.get("/agents/research-bot/?tab=versions"))
    assert "opus-4" in page
    assert "c" * 12 in page
    assert "Unused, gets no token" in visits.text(ana.get("/agents/research-bot/?tab=tokens"))
    assert 'value="enable"' in visits.text(ana.get("/agents/research-bot/clients/old/"))
    Client.objects.update(idle="deleted")
    assert 'value="enable"' not in visits.text(ana.get("/agents/research-bot/clients/old/"))


def test_a_role_is_given_until_a_day_and_its_end_is_shown_and_moved(company: companies.Company) -> None:
    admin, day = make.person("adam", roles=["admin"]), clock.now().date() + timedelta(days=3)
    browser = visits.as_(admin)
    given = {"verb": "give", "role": "responder", "until": day.isoformat(), "reason": "on call"}
    assert browser.post("/people/bob/role/", given).status_code == 302
    row = RoleAssignment.objects.get(person=company.bob)
    assert row.expires_at is not None
    assert row.expires_at.date() == day
    assert "until" in visits.text(browser.get("/people/bob/"))
    later = {**given, "until": (day + timedelta(days=4)).isoformat()}
    assert browser.post("/people/bob/role/", later).status_code == 302
    row.refresh_from_db()
    assert row.expires_at.date() == day + timedelta(days=4)
    assert browser.post("/people/bob/role/", {**given, "until": "never"}).status_code == 422


def test_a_service_agent_was_last_used_when_it_got_its_last_token_or_was_last_allowed_a_call(
    company: companies.Company,
) -> None:
    bot, now = make.agent("ticker", kind="service"), clock.now()
    client, _ = make.client(bot, "ticks")

    def last() -> datetime | None:
        summaries.refresh([bot.pk])
        listed = read.listed(Caller(company.ana.principal, person=company.ana, roles=frozenset({"analyst"})))
        found: datetime | None = vars(listed.get(slug="ticker"))["last_used"]
        return found

    assert last() is None
    times = {"issued_at": now - timedelta(minutes=9), "expires_at": now - timedelta(minutes=4)}
    IssuedToken.objects.create(kind="access_token", system=company.system, client=client, agent=bot, **times)
    assert last() == times["issued_at"]
    tool = company.system.tools.get(name="now")
    called = now - timedelta(minutes=5)
    UsageDay.objects.create(agent=bot, tool=tool, day=called.date(), calls=83, denied=0, last_at=called)
    assert last() == called


def test_people_and_agents_have_states_with_words_of_their_own(company: companies.Company) -> None:
    times = {"created_at": clock.now(), "changed_at": clock.now()}
    source = PeopleSource.objects.create(slug="hr", name="HR", digest="0" * 64, created_at=clock.now())
    SourcedPerson.objects.create(source=source, person=company.sofia, user_name="sofia", left_at=clock.now(), **times)
    for person in (company.sofia, company.otto):
        people.disable(person, by=SYSTEM, reason="Gone.")
    browser = visits.as_(company.ana)

    def states(address: str) -> list[str]:
        return re.findall(r'class="status [a-z]+">.*?</svg>([^<]+)</span>', visits.text(browser.get(address)))

    assert states("/agents/?q=research-bot&columns=sponsor,owner,findings,state") == [
        *("Left", "Disabled", "Orphaned", "Active"),
    ]
    assert states("/agents/research-bot/")[:5] == ["0", "Low risk", "Active", "Orphaned", "Left"]
    assert states("/people/sofia/")[:1] == ["Left"]
    assert {"Left", "Disabled", "Active"} == set(states("/people/"))
    agents.suspend(company.bot, by=SYSTEM, reason="Odd.")
    assert states("/agents/?q=research-bot")[-1] == "Suspended"
