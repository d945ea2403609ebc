"""Decoys are people of security's alone to plant and to see; no other page, list or export knows of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction

from audit import clock
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.decoys import decoys
from entitlements.decoys.decoys import DecoyAgentsInvalid, DecoyNameTaken, DecoyOver, DecoyTargetUnusable
from entitlements.decoys.models import Decoy, DecoyTouch
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.risk.models import RiskSignal
from governance.decisions.queries import why
from governance.reviews.event_triggered import triggers
from governance.reviews.event_triggered.models import ReviewTrigger
from tests import make, shared
from tests.attacks import hostile
from tests.entitlements.api import client
from tests.entitlements.decoys import planted
from tests.entitlements.risk.worlds import answered
from tests.governance.console import addresses, visits
from tests.governance.decoys.touches import touch

pytestmark = pytest.mark.django_db
made_world, world = shared.world(addresses.world)


def test_a_decoy_and_its_touch_count_nowhere(world: addresses.World) -> None:
    company, tool = world.company, world.company.system.tools.get(name="now")
    before = dict(_counts())
    touch(planted.tool(tool, company.bot, by=company.ana))
    assert dict(_counts()) == before, "no tool, version, entitlement line, grant line, usage or request is made"


def _counts() -> Iterator[tuple[str, int]]:
    known = {
        "Decoy",
        "DecoyAgent",
        "DecoyTouch",
        "Event",
        "Pending",
        "Change",
        "RiskSignal",
        "Person",
        "RoleAssignment",
    }
    for model in apps.get_models():
        if model.__name__ not in known:
            yield model.__name__, model._default_manager.count()


def test_people_of_security_alone_see_decoys_their_events_and_their_signals(world: addresses.World) -> None:
    company = world.company
    decoy = planted.tool(company.system.tools.get(name="now"), company.bot)
    touch(decoy)
    signal = RiskSignal.objects.get(kind="decoy_touched")
    named = [f"decoy:{decoy.pk}", f"risk:{signal.pk}"]
    about_bot = Event.objects.filter(links__contains=[f"agent:{company.bot.slug}"], links__overlap=named)
    for person, knows, reads in (
        (company.ana, True, True), (make.security(), True, True), (make.person(roles=["auditor"]), False, True),
        (make.person(roles=["admin"]), False, False), (make.person(roles=["responder"]), False, False),
        (company.sofia, False, False), (company.otto, False, False),
    ):  # fmt: skip
        who = callers.of(person)
        assert visibility.decoys(who).filter(pk=decoy.pk).exists() is knows, person.login
        assert visibility.risk_signals(who).filter(pk=signal.pk).exists() is knows, person.login
        actions = {event.action for event in visibility.events(who, about_bot)}
        assert ({"decoy.touched", "risk.signalled"} <= actions) is reads, person.login
        assert (visits.as_(person).get(f"/decoys/{decoy.pk}/").status_code == 200) is knows, person.login
        assert (client.of(person).get(f"/api/v1/decoys/{decoy.pk}").status_code == 200) is knows, person.login
    agent = Caller(company.bot.principal, agent=company.bot, scopes=frozenset({"mandate:read"}))
    assert not {event.action for event in visibility.events(agent, about_bot)} & {"decoy.touched", "risk.signalled"}
    level = client.of(company.sofia).get(f"/api/v1/agents/{company.bot.slug}").json()
    assert "risk_level" not in level
    assert client.of(company.ana).get(f"/api/v1/agents/{company.bot.slug}").json()["risk_level"] == "high"


def test_why_explains_a_touch_to_those_who_read_the_log(world: addresses.World) -> None:
    company = world.company
    event = touch(planted.tool(company.system.tools.get(name="now"), company.bot))
    found = why.explain(why.find(event.uuid))
    assert (found.code, found.effect, dict(found.further)["answered"]) == ("unknown_tool", "deny", "tool_error")
    address = f"/api/v1/decisions/{event.uuid}/why"
    statuses = [client.of(person).get(address).status_code for person in (company.ana, company.sofia)]
    assert statuses[1] == 404


def test_a_touch_opens_a_review_that_does_not_say_why_and_suspends_once_two_people_agreed(
    world: addresses.World,
) -> None:
    bot = world.company.bot
    decoy = planted.tool(world.company.system.tools.get(name="now"), bot)
    touch(decoy)
    signal = RiskSignal.objects.get(kind="decoy_touched")
    assert (signal.level, signal.response, signal.mode, signal.outcome) == ("high", "suspend", "observe", "observed")
    triggers.note_event(Event.objects.get(action="risk.signalled", links__contains=[f"risk:{signal.pk}"]))
    trigger = ReviewTrigger.objects.filter(kind="risk_signal", agent=bot).latest("pk")
    assert "decoy" not in str(trigger.facts).lower()
    bot.refresh_from_db()
    assert (bot.risk_level, bot.status) == ("high", "active")
    answered("decoy_touched", "suspend")
    touch(planted.tool(world.company.system.tools.get(name="now"), bot, name="another"))
    bot.refresh_from_db()
    assert (bot.status, bot.status_reason) == ("suspended", "A risk signal.")
    assert DecoyTouch.objects.count() == 2


def test_what_cannot_be_planted_is_refused(world: addresses.World) -> None:
    company, tool = world.company, world.company.system.tools.get(name="now")
    for raises, given in (
        (DecoyNameTaken, {"name": "now"}), (DecoyNameTaken, {"name": "request_access"}),
        (ReasonRequired, {"reason": " "}), (Forbidden, {"by": company.sofia}),
    ):  # fmt: skip
        with pytest.raises(raises):
            planted.tool(tool, company.bot, **given)
    with pytest.raises(DecoyAgentsInvalid):
        planted.tool(tool)
    with pytest.raises(DecoyTargetUnusable):
        decoys.plant_tool(
            "x",
            beside="nowhere/now",
            description="x",
            answer="x",
            agents=[company.bot.slug],
            by=company.ana,
            reason="x",
        )
    decoy = planted.tool(tool, company.bot)
    with pytest.raises(DecoyNameTaken):
        planted.tool(tool, company.bot)
    decoys.end(decoy.pk, by=company.ana, reason="over")
    with pytest.raises(DecoyOver):
        decoys.end(decoy.pk, by=company.ana, reason="over")
    assert planted.tool(tool, company.bot).pk != decoy.pk


def test_the_database_keeps_what_was_planted(world: addresses.World) -> None:
    decoy = planted.tool(world.company.system.tools.get(name="now"), world.company.bot)
    rows = Decoy.objects.filter(pk=decoy.pk)
    for change in ({"answer": "else"}, {"name": "now"}, {"ended_at": clock.now()}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError, match="a decoy has the name of no tool"), transaction.atomic():
        Decoy.objects.create(
            name="now", system=decoy.system, beside=decoy.beside, definition={}, answer="x", reason="x",
            planted_by=world.company.ana, planted_at=clock.now(),
        )  # fmt: skip


def test_a_form_plants_a_tool(world: addresses.World) -> None:
    company = world.company
    console = visits.as_(company.ana)
    given = {
        "name": hostile.DECOY,
        "description": "Exports.",
        "answer": "No.",
        "agents": company.bot.slug,
        "reason": "x",
    }
    planted_at = console.post("/decoys/plant/", {**given, "beside": f"{company.system.slug}/now"})
    assert planted_at.status_code == 302
    assert hostile.DECOY in console.get(planted_at["Location"]).content.decode()
    assert console.post("/decoys/plant/", {**given, "beside": "nowhere/now"}).status_code == 422
