"""Calls of our own API in a trace: the caller's own, else that of its token, and the spans of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit.export import timeline
from audit.models import Event
from entitlements.catalog import systems
from entitlements.clients.models import Client
from entitlements.traces import telemetry, trace_context
from governance import env
from tests import make
from tests.entitlements.api import client as api
from tests.entitlements.edge import worlds
from tests.entitlements.traces import collector
from tests.entitlements.traces.collector import Collector, Seen
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.requests.test_agents_ask import token

pytestmark = [pytest.mark.loopback, pytest.mark.django_db(transaction=True)]
THEIRS, SPAN = "ab" * 16, "1" * 16
NAMED = f"00-{THEIRS}-{SPAN}-01"


@pytest.fixture
def on(settings: Settings) -> Iterator[Collector]:
    """Export what this process makes to a collector, until `spans_of` looks."""
    with collector.running() as kept:
        settings.OTLP = (kept.url, env.Secret(dict[str, str]()))
        telemetry.start("mandate-web")
        yield kept
        telemetry.stop()


@pytest.fixture
def company() -> Company:
    return companies.found()


def asked(company: Company) -> dict[str, Any]:
    return {
        "agent": company.bot.slug, "entitlement": company.use.scope, "people": ["alice"], "tools": ["now"],
        "lasts": "PT1H", "reason": "needed",
    }  # fmt: skip


def request_access(company: Company, **headers: str) -> Any:  # noqa: ANN401 - the framework's response
    return api.of(company.otto).post("/api/v1/requests", asked(company), format="json", headers=headers)


def spans_of(on: Collector, trace: str) -> dict[str, Seen]:
    telemetry.stop()
    return {span.name: span for span in on.of(trace)}


def test_a_call_goes_on_in_the_trace_of_its_caller_and_its_events_hang_below_its_span(
    company: Company, on: Collector
) -> None:
    assert request_access(company, traceparent=NAMED).status_code == 201

    assert "request.submitted" in [event.action for event in timeline.about(f"trace:{THEIRS}")]
    spans = spans_of(on, THEIRS)
    call, event = spans["POST /api/v1/requests"], spans["request.submitted"]
    assert (call.parent, call.kind, event.parent) == (SPAN, 2, call.id)  # OTLP's number of SERVER
    assert call.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/requests",
        "http.response.status_code": 201,
    }


def test_a_refused_call_says_why_and_a_route_names_no_thing(company: Company, on: Collector) -> None:
    answer = api.of(company.otto).get("/api/v1/agents/another", headers={"traceparent": NAMED})
    assert answer.status_code == 404

    (span,) = spans_of(on, THEIRS).values()
    assert "another" not in str((span.name, span.attributes))
    assert (span.has_failed, span.attributes["error.type"]) == (True, answer.json()["code"])


@pytest.mark.parametrize("header", ["", f"{NAMED}-more", f"ff-{THEIRS}-{SPAN}-01"])
def test_without_one_that_keeps_the_rules_it_has_its_own(company: Company, on: Collector, header: str) -> None:
    request_access(company, traceparent=header)

    trace = Event.objects.get(action="request.submitted").trace
    assert trace != THEIRS
    spans = spans_of(on, trace)
    assert spans["POST /api/v1/requests"].parent == trace_context.root_span(trace)
    assert spans["request.submitted"].parent == spans["POST /api/v1/requests"].id


def test_who_says_that_a_trace_is_not_sampled_gets_no_spans(company: Company, on: Collector) -> None:
    request_access(company, traceparent=f"00-{THEIRS}-{SPAN}-00")

    assert timeline.about(f"trace:{THEIRS}").exists()
    assert spans_of(on, THEIRS) == {}


def test_a_call_by_a_token_joins_the_trace_that_the_token_carries(company: Company) -> None:
    systems.ensure_builtin()
    scopes = ["mandate:request", "mandate:read"]
    _, secret = make.client(company.bot, "bot-client", auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=scopes)
    access = token("bot-client", secret, " ".join(scopes))
    carried, bot = str(worlds.peek(access)["txn"]), Browser(headers={"Authorization": f"Bearer {access}"})

    for headers in ({}, {"traceparent": NAMED}):
        answer = bot.post("/api/v1/requests", asked(company), content_type="application/json", headers=headers)
        assert answer.status_code == 403  # without a denied call, an agent asks for nothing; which is recorded

    refused = timeline.about(f"trace:{carried}").filter(action="attempt.refused")
    assert [event.trace for event in refused] == [carried, THEIRS]
