"""An agent or a person learns over REST what the console's form would tick for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.clients.models import Client
from entitlements.grants import grants
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.requests.test_agents_ask import token

pytestmark = pytest.mark.django_db
URL = "/api/v1/requests/narrowest"
ASKED = {"agent": "research-bot", "entitlement": "clock:use"}


def _company() -> Company:
    """Make the company, whose agent called one tool, and two others that hold another for a day."""
    company = companies.found()
    now, start = company.use.lines.get(tool__name="now"), clock.now()
    for slug in ("one", "two"):
        terms = grants.Terms({now.tool: now.limits}, start, start + timedelta(days=1))
        grants.issue(make.agent(slug), company.use, terms, by=SYSTEM, reason="a test")
    return company


made_world, company = shared.world(_company)


def called(company: Company, action: Action = Action.CALL_DENIED) -> None:
    with transaction.atomic():
        log.record(action, about=["tool:clock/convert", "system:clock"], by=company.bot.principal)


def got(of: APIClient, **more: str) -> dict[str, Any]:
    answer = of.get(URL, {**ASKED, **more})
    assert answer.status_code == 200, answer.json()
    said: dict[str, Any] = answer.json()
    return said


def test_it_is_what_like_agents_hold_and_then_what_the_agent_tried_to_call(company: Company) -> None:
    otto = client.of(company.otto)
    peers = got(otto)
    assert (peers["tools"], peers["lasts"], peers["by_peers"], peers["peers"]) == (["now"], "P1D", True, 2)
    assert {line["tool"]: line["held"] for line in peers["lines"]}["now"] == 2
    called(company)
    past = got(otto)
    assert (past["tools"], past["by_past"]) == (["convert"], True)
    assert {line["tool"]: line["refused"] for line in past["lines"]}["convert"] == 1
    assert got(otto, tool="wipe")["tools"] == ["wipe"], "a call that was refused says exactly what is needed"


def test_an_agent_learns_it_of_itself_alone(company: Company) -> None:
    called(company)
    systems.ensure_builtin()
    _, secret = make.client(
        company.bot, "bot-client", auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:request"]
    )
    bot = APIClient()
    bot.credentials(HTTP_AUTHORIZATION=f"Bearer {token('bot-client', secret, 'mandate:request')}")
    assert got(bot)["tools"] == ["convert"]
    assert bot.get(URL, {**ASKED, "agent": "one"}).status_code == 404


def test_past_calls_are_kept_from_whoever_is_only_acted_for(company: Company) -> None:
    called(company)
    make.agent("hers", owner=company.alice)
    alice = client.of(company.alice)
    assert alice.get(URL, ASKED).status_code == 404
    make.grant(company.bot, company.use, people=[company.alice])
    seen = got(alice)
    assert (seen["tools"], seen["by_past"]) == (["now"], False)
    assert {line["refused"] for line in seen["lines"]} == {0}


def test_what_is_not_named_or_not_known_is_refused(company: Company) -> None:
    otto = client.of(company.otto)
    assert otto.get(URL).json()["code"] == "agent_needed"
    assert otto.get(URL, {"agent": "research-bot"}).status_code == 404
    assert otto.get(URL, {**ASKED, "entitlement": "clock:nothing"}).status_code == 404
    assert otto.get(URL, {**ASKED, "wide": "yes"}).status_code == 400


def test_without_an_agent_it_is_of_the_agent_that_asks_or_of_ones_own(company: Company) -> None:
    otto = client.of(company.otto)
    without = {"entitlement": "clock:use"}
    assert otto.get(URL, without).json()["code"] == "agent_needed", "he has none"
    make.agent("his", kind="personal", sponsor=company.otto, owner=company.bob)
    his = otto.get(URL, {**without, "agent": "his"})
    assert otto.get(URL, without).json() == his.json()
    make.agent("his-too", kind="personal", sponsor=company.otto, owner=company.bob)
    assert otto.get(URL, without).json()["code"] == "agent_needed", "he has two"
    systems.ensure_builtin()
    auth = Client.Auth.CLIENT_SECRET_BASIC
    _, secret = make.client(company.bot, "bot-client", auth=auth, api_scopes=["mandate:request"])
    called(company)
    bot = APIClient()
    bot.credentials(HTTP_AUTHORIZATION=f"Bearer {token('bot-client', secret, 'mandate:request')}")
    assert bot.get(URL, without).json()["tools"] == ["convert"]
