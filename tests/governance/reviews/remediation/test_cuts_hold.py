"""A cut does what its replay said, and a removal is denied at every point where access could come from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from audit.models import Event
from entitlements.catalog.models import Tool
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import record
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewLine
from governance.reviews.pack_tables import contents
from governance.reviews.population import campaigns
from governance.reviews.remediation import remediation, verification
from governance.reviews.remediation.models import Remediation
from governance.reviews.staging import launch
from governance.reviews.usage import replay
from tests import make
from tests.entitlements.edge import worlds as oauth
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def call(grant: Grant, tool: str, person: str) -> None:
    """Record a call as the gateway does: with a digest of its arguments, and none of them."""
    links = [f"grant:{grant.pk}", f"tool:clock/{tool}"]
    with transaction.atomic(), context.acting(on_behalf_of=Principal("person", person)):
        log.record(Action.CALL_ALLOWED, by=Principal("agent", "research-bot"), about=links, detail={"tool": tool})


def denied_now() -> dict[str, int]:
    """Decide every recorded call once more, by the function that decides in the gateway; count the denials by tool."""
    found: dict[str, int] = {}
    for event in Event.objects.filter(action=Action.CALL_ALLOWED):
        said: dict[str, Any] = json.loads(event.body)
        person, tool = said["on_behalf_of"].removeprefix("person:"), said["detail"]["tool"]
        known = facts.load(
            "research-bot", "clock", list(Person.objects.filter(login=person).values_list("login", "is_active"))
        )
        assert known is not None
        verdict = policy.decide(
            Call("research-bot", "bot-client", person, "clock", tool, {}), known, clock.now().timestamp()
        )
        if not verdict.allowed:
            found[tool] = found.get(tool, 0) + 1
    return found


def test_a_replayed_cut_denies_exactly_the_calls_that_it_said() -> None:
    company, grant = worlds.found()
    make.client(company.bot, "bot-client")
    grants.reduce(grant.pk, {"now": {}, "remove": {}, "wipe": {}}, by=company.ana.principal, reason="no zones here")
    wipe = Tool.objects.get(name="wipe")
    twice = make.grant(company.bot, make.entitlement(company.system, wipe), people=[company.alice])
    bobs = make.grant(company.bot, company.use, people=[company.bob])
    grants.reduce(bobs.pk, {"now": {}, "remove": {}}, by=company.ana.principal, reason="no zones here")
    for held, tool, times in ((grant, "now", 7), (grant, "remove", 4), (grant, "wipe", 2), (twice, "wipe", 1)):
        for _ in range(times):
            call(held, tool, "alice")
    for _ in range(3):
        call(bobs, "remove", "bob")
    assert denied_now() == {}
    foretold = replay.of_grant(grant, ["remove", "wipe"], {})
    assert (foretold.calls, foretold.denied, foretold.covered) == (13, 4, ("wipe",))

    campaign = worlds.campaign(company)
    item = next(
        each
        for each in campaign.items.all()
        if "person:alice" in each.subjects and grant.pk in set(each.population.values_list("grant", flat=True))
    )
    kept = ReviewLine.objects.filter(item=item).exclude(grant=grant, tool__name__in=["remove", "wipe"])
    keep_some = Answer("reduce", "unused", kept=tuple(kept.values_list("pk", flat=True)))
    worlds.answer(campaign, worlds.live(item).reviewer or company.sofia, [(item, keep_some)])

    assert denied_now() == {tool: count for tool, count in foretold.tools if count} == {"remove": 4}


def test_what_is_removed_is_denied_to_calls_tokens_and_exchanges() -> None:
    world = oauth.world()
    token = world.access_token()

    def seen() -> dict[str, Any]:
        return world.post("/as/time/introspect", {"token": token, **world.credentials(world.audience)}).body

    assert seen()["active"] is True
    ana = make.analyst()
    campaign = campaigns.make("q4", name="Q4", due_at=clock.now() + worlds.MONTH, by=ana)
    launch.activate(campaign.pk, by=ana)
    item = worlds.item(campaign)
    done = worlds.answer(campaign, world.agent.sponsor, [(item, worlds.REMOVE)])

    assert remediation.verify(done.removals[0]).state == Remediation.State.VERIFIED
    proof = Remediation.objects.get().probe
    assert proof is not None
    assert [(each["allowed"], each["code"]) for each in proof["calls"]] == [(False, "grant_suspended")]
    assert [each["alive"] for each in proof["tokens"]] == [False, False]
    assert [(each["issued"], each["holds"]) for each in proof["exchanges"]] == [(False, True)]
    assert seen() == {"active": False}
    refused = world.exchange()
    assert (refused.status, refused.body["code"]) == (400, proof["exchanges"][0]["code"])


def test_a_removal_is_not_proven_while_a_token_can_still_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    world, ana = oauth.world(), make.analyst()
    campaign = campaigns.make("q4", name="Q4", due_at=clock.now() + worlds.MONTH, by=ana)
    launch.activate(campaign.pk, by=ana)
    with monkeypatch.context() as broken:
        broken.setattr(grants, "suspend", lambda *_, **__: None)
        done = worlds.answer(campaign, world.agent.sponsor, [(worlds.item(campaign), worlds.REMOVE)])
    failed = remediation.verify(done.removals[0])
    assert failed.state == Remediation.State.FAILED
    assert failed.probe is not None
    assert [(each["issued"], each["holds"]) for each in failed.probe["exchanges"]] == [(True, False)]


def _for_many(tools: int) -> tuple[Company, Campaign]:
    """Begin a review of one harmless access for a group of thirty people."""
    company = companies.found()
    offer = make.entitlement(company.system, *(make.tool(company.system) for _ in range(tools)))
    make.grant(company.bot, offer, groups=[make.group(*(make.person(f"member-{n}") for n in range(30)))])
    return company, worlds.campaign(company)


def test_everybody_is_asked_for_and_every_tool() -> None:
    company, campaign = _for_many(10)
    (cut,) = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)]).removals
    proof = remediation.verify(cut).probe
    assert proof is not None
    tried = {"calls": 300, "of": 300, "people": 30, "of_people": 30, "tokens": 0, "of_tokens": 0}
    assert (proof["holds"], proof["tried"]) == (True, tried)
    assert (len(proof["calls"]), len(proof["exchanges"])) == (200, 30)
    (row,) = record.evidence(campaign).rows()
    assert (row["removal"], row["untried"]) == ("verified", 0)


def test_what_is_not_as_decided_is_found_and_kept_however_much_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    company, campaign = _for_many(2)
    monkeypatch.setattr(verification, "_MOST_KEPT", 1)
    item = worlds.item(campaign)
    kept, dropped = item.lines.order_by("tool__name", "pk")
    said = Answer("reduce", "unused", "Nobody calls it.", kept=(kept.pk,))
    (cut,) = worlds.answer(campaign, company.sofia, [(item, said)]).removals
    Grant.objects.get().lines.create(tool=dropped.tool)
    proof = remediation.verify(cut).probe
    assert proof is not None
    assert [(each["tool"], each["holds"]) for each in proof["calls"]] == [(dropped.tool.name, False)]


def test_a_proof_of_a_part_says_so_in_the_list_on_the_page_and_in_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    company, campaign = _for_many(2)
    monkeypatch.setattr(verification, "_MOST_CALLS", 50)
    (cut,) = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)]).removals
    proof = remediation.verify(cut).probe
    assert proof is not None
    assert (proof["tried"]["people"], proof["tried"]["of_people"]) == (25, 30)
    (row,) = record.evidence(campaign).rows()
    (told,) = contents.TABLES["06_remediation"].rows(campaign)
    assert (row["untried"], told["untried"]) == (10, 10)
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/evidence/", secure=True))
    assert "10 calls or tokens were not tried" in page
