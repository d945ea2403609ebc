"""From the link in a denial to a request that names the denied call, in the console and over REST."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client

from audit import context, log
from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements import addresses
from entitlements.decisions import own_connection
from entitlements.gateway.access_requests import denied_calls
from entitlements.keys import session_keys, signing
from governance.requests.models import AccessRequest
from tests import make
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
REASON = "The argument timezone is outside its limits."


@pytest.fixture
def company() -> Company:
    return companies.found()


@pytest.fixture
def denial(company: Company) -> Event:
    """Record a denied call for alice as the gateway does."""
    return _denied(company, "convert")


def _denied(company: Company, tool: str) -> Event:
    detail = {"tool": tool, "reasons": [f"argument_outside_limit: {REASON}"]}
    links = ["system:clock", f"tool:clock/{tool}"]
    with context.acting(trace=uuid4().hex, on_behalf_of=company.alice.principal), transaction.atomic():
        return log.record(
            Action.CALL_DENIED,
            by=company.bot.principal,
            about=links,
            outcome="refused",
            code="argument_outside_limit",
            detail=detail,
        )


def _link(denial: Event) -> str:
    whole = addresses.request_access("research-bot", "clock", "convert", str(denial.uuid))
    return whole[whole.index("/requests/") :]


def test_the_link_leads_past_the_sign_in_to_a_request_that_names_the_denied_call(
    company: Company, denial: Event
) -> None:
    redirected = Client().get(_link(denial))["Location"]
    assert parse_qs(urlsplit(redirected).query)["next"] == [_link(denial)]
    browser = visits.as_(company.otto)

    page = visits.text(browser.get(_link(denial)))

    assert 'value="convert" data-tool checked' in page
    assert 'name="people" value="Alice"' in page
    assert REASON in page
    # both forms keep it: the one that chooses otherwise, and the one that asks
    assert page.count(f'name="denied_call" value="{denial.uuid}"') == 2
    form = {
        "agent": "research-bot", "entitlement": "clock:use", "tool": ["convert"], "people": "alice", "lasts": "28800",
        "reason": "It was denied.", "denied_call": str(denial.uuid),
    }  # fmt: skip
    refused = visits.text(browser.post("/requests/new/", {**form, "reason": ""}))
    assert refused.count(f'name="denied_call" value="{denial.uuid}"') == 2
    assert REASON in refused
    shown = visits.text(browser.post("/requests/new/", form, follow=True))
    asked = AccessRequest.objects.get()
    assert (asked.denied_call, asked.trace) == (denial.uuid, denial.trace)
    named = re.search(r'<li><a href="/audit/\?about=trace:(\w+)">Denied call <code>(\w+)</code></a>(.*?)</li>', shown)
    assert named
    assert named.groups()[:2] == (denial.trace, str(denial.uuid)[:8])
    assert "convert" in named[3]
    assert "argument_outside_limit" in named[3]
    events = timeline.about(f"trace:{denial.trace}")
    assert [event.action for event in events] == [Action.CALL_DENIED, Action.REQUEST_SUBMITTED]


def test_the_id_of_the_denied_call_alone_fills_in_the_form(company: Company, denial: Event) -> None:
    page = visits.text(visits.as_(company.otto).get(f"/requests/new/?denied_call={denial.uuid}"))

    assert 'name="agent" value="research-bot"' in page
    assert 'value="convert" data-tool checked' in page


def _kept(denial: Event, arguments: dict[str, Any], call: str = "") -> str:
    """Seal arguments as the gateway does; the link with them."""
    now = denial.at.timestamp()
    sealing = denied_calls.sealed(own_connection.READS, call or str(denial.uuid), arguments, now)
    return f"/requests/new/?denied_call={denial.uuid}&kept={own_connection.run(sealing)}"


def test_the_form_proposes_limits_from_the_arguments_that_the_link_keeps_sealed(
    company: Company, at: Callable[[timedelta], Any]
) -> None:
    signing.ensure(session_keys.ISSUER)
    properties = {"zone": {"type": "string"}, "amount": {"type": "integer"}, "days": {"type": "array", "items": {}}}
    definition = {"name": "report", "description": "Reports.", "inputSchema": {"properties": properties}}
    make.entitlement(company.system, make.tool(company.system, "report", definition=definition), scope="clock:report")
    denial, otto = _denied(company, "report"), visits.as_(company.otto)
    called = {"zone": "Atlantic/Azores", "amount": 1234, "days": [1, 2, 3]}
    link = _kept(denial, called)
    assert "Azores" not in link

    page = visits.text(otto.get(link))

    assert "Atlantic/Azores</textarea>" in page
    assert 'name="limit:report:amount:max" value="1234"' in page
    assert 'value="3"' in page
    hidden = [
        visits.as_(company.mallory).get(link),
        otto.get(link.partition("&kept=")[0]),
        otto.get(_kept(denial, called, str(uuid4()))),
        otto.get(link.replace("&kept=", "&kept=x")),
    ]
    assert [shown for shown in hidden if "Azores" in visits.text(shown)] == []
    assert _kept(denial, {"zone": "x" * 900}).endswith("&kept=")
    at(timedelta(hours=1, seconds=1))
    assert "Azores" not in visits.text(otto.get(link))


def test_what_was_sealed_for_a_link_is_no_name_of_a_session(denial: Event) -> None:
    signing.ensure(session_keys.ISSUER)
    text = _kept(denial, {"zone": "UTC"}).partition("&kept=")[2]

    with pytest.raises(session_keys.NotOurs):
        own_connection.run(session_keys.opened(own_connection.READS, text))


def test_a_denied_call_of_others_or_of_long_ago_is_not_shown_and_not_resumed(
    company: Company, denial: Event, at: Callable[[timedelta], Any]
) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    make.grant(company.bot, make.entitlement(company.system), people=[company.bob])
    link = _link(denial)
    seen = visits.text(visits.as_(company.alice).get(link))
    hidden = visits.text(visits.as_(company.bob).get(link))
    assert (REASON in seen, REASON in hidden) == (True, False)
    at(timedelta(days=1, seconds=1))
    late = visits.text(visits.as_(company.otto).get(link))
    for page in (hidden, late):
        assert "cannot be resumed" in page
        assert 'name="denied_call"' not in page


def test_a_call_that_was_allowed_is_not_resumed(company: Company) -> None:
    with transaction.atomic():
        allowed = log.record(Action.CALL_ALLOWED, by=company.bot.principal, about=["tool:clock/convert"])
    page = visits.text(visits.as_(company.otto).get(_link(allowed)))
    assert "cannot be resumed" in page
    assert 'name="denied_call"' not in page


def test_over_rest_a_request_names_the_denied_call_and_goes_on_in_its_trace(company: Company, denial: Event) -> None:
    body = {
        "agent": "research-bot",
        "entitlement": "clock:use",
        "people": ["alice"],
        "tools": ["convert"],
        "lasts": "PT1H",
        "reason": "It was denied.",
    }
    for person, named in ((company.bob, denial.uuid), (company.otto, uuid4())):
        refused = api.of(person).post("/api/v1/requests", {**body, "denied_call": str(named)})
        assert refused.status_code in (403, 404, 422), person.login
        assert not AccessRequest.objects.exists()
    made = api.of(company.otto).post("/api/v1/requests", {**body, "denied_call": str(denial.uuid)})
    assert made.status_code == 201, made.json()
    assert AccessRequest.objects.get().trace == denial.trace


def test_the_form_of_a_denied_call_ticks_its_tool_and_any_other_form_what_is_offered(
    company: Company, denial: Event
) -> None:
    otto = visits.as_(company.otto)
    resumed = visits.text(otto.get(_link(denial)))
    assert ('value="convert" data-tool checked' in resumed, 'value="now" data-tool>' in resumed) == (True, True)
    plain = visits.text(otto.get("/requests/new/?agent=research-bot&entitlement=clock:use"))
    assert ('value="convert" data-tool checked' in plain, 'value="now" data-tool checked' in plain) == (True, True)


def test_an_approver_sees_how_often_a_tool_was_called_and_refused(company: Company, denial: Event) -> None:
    asked = company.ask("now", "convert", by=company.otto)
    assert denial.links
    with transaction.atomic():
        log.record(Action.CALL_ALLOWED, about=["system:clock", "tool:clock/now"], by=company.bot.principal)
    shown, own = (visits.text(visits.as_(who).get(f"/requests/{asked.pk}/")) for who in (company.sofia, company.otto))
    assert ("called 1 time" in shown, "refused 1 time" in shown) == (True, True)
    assert "called 1 time" not in own
