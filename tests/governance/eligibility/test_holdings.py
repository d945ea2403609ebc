"""What an agent holds already: all of it is refused when it is asked for, a part is granted beside the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.approvals import approvals
from governance.break_glass.models import BreakGlassGrant
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)


def approve(company: Company, request: AccessRequest) -> Grant:
    while request.state == AccessRequest.State.IN_APPROVAL:
        waiting = next(iter(companies.waiting(request).values()))
        request = approvals.approve(request.pk, by=company.named(waiting[0]))
    return Grant.objects.get(request_id=request.pk)


def test_what_the_agent_holds_is_not_asked_for_again(company: Company) -> None:
    held = make.grant(company.bot, company.use, people=[company.alice, company.bob])
    with pytest.raises(grants.AlreadyHeld) as refused:
        company.ask("now", "convert", people=[company.bob, company.alice])
    assert refused.value.detail["grant"] == str(held.pk)
    assert str(refused.value.detail["url"]).endswith(f"/grants/{held.pk}/")
    assert not AccessRequest.objects.exists()

    assert company.ask("now", people=[company.alice]).state == "in_approval"  # for others it is another thing
    grants.revoke(held.pk, by=SYSTEM, reason="over")
    assert company.ask("now", people=[company.alice, company.bob]).state == "in_approval"


def test_access_that_is_over_or_of_an_emergency_keeps_nobody_from_asking(company: Company) -> None:
    past = clock.now() - timedelta(hours=2)
    make.grant(company.bot, company.use, people=[company.alice], starts_at=past, lasts=timedelta(hours=1))
    given = make.grant(company.bot, company.use, people=[company.bob])
    now = clock.now()
    BreakGlassGrant.objects.create(
        grant=given, given_by=company.resa, given_at=now, ends_at=now + timedelta(hours=1), reason="x"
    )

    for person in (company.alice, company.bob):
        assert company.ask("now", people=[person]).state == "in_approval"


def test_what_is_held_in_part_is_granted_beside_it(company: Company) -> None:
    first = approve(company, company.ask("now"))
    wider = approve(company, company.ask("now", "convert"))
    assert [line.tool.name for line in wider.lines.order_by("tool__name")] == ["convert", "now"]
    assert Grant.objects.filter(ended_at=None).count() == 2
    with pytest.raises(grants.AlreadyHeld) as refused:
        company.ask("convert", limits={"convert": {"timezone": {"one_of": ["Europe/Rome"]}}})
    assert refused.value.detail["grant"] == str(wider.pk) != str(first.pk)


def test_two_requests_for_the_same_give_it_once(company: Company) -> None:
    requests_ = [company.ask("now"), company.ask("now")]
    approve(company, requests_[0])
    with pytest.raises(grants.AlreadyHeld):
        approve(company, requests_[1])


def test_a_service_agent_holds_an_entitlement_once(company: Company) -> None:
    robot = make.agent("robot", kind="service", sponsor=company.sofia, owner=company.otto)
    held = approve(company, make.request(company.use, robot, by=company.otto, tools=["now"]))
    with pytest.raises(grants.AlreadyHeld) as refused:
        make.request(company.use, robot, by=company.otto, tools=["convert"])
    assert (refused.value.detail["grant"], refused.value.detail["lacks"]) == (str(held.pk), ["convert"])


def test_api_and_console_say_which_grant_it_is(company: Company) -> None:
    held = make.grant(company.bot, company.use, people=[company.alice])
    body = {"agent": "research-bot", "entitlement": "clock:use", "people": ["alice"], "tools": ["now"],
            "lasts": "PT1H", "reason": "work"}  # fmt: skip
    answer = api.of(company.otto).post("/api/v1/requests", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "grant_already_held")
    assert answer.json()["facts"]["url"].endswith(f"/grants/{held.pk}/")

    form = {"agent": "research-bot", "entitlement": "clock:use", "people": "alice"}
    form |= {"tool": "now", "lasts": "3600", "reason": "work"}
    page = visits.as_(company.otto).post("/requests/new/", form)
    assert page.status_code == 409
    assert f'href="/grants/{held.pk}/"' in page.content.decode()
    assert not AccessRequest.objects.exists()
