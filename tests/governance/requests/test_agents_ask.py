"""An agent with a real access token of /as/mandate asks for what it was denied."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import transaction

from audit import context, log
from audit.actions import Action
from audit.export import timeline
from entitlements.agents import agents
from entitlements.catalog import systems
from entitlements.clients.models import Client
from governance.approvals import approvals
from tests import make
from tests.edge import Browser
from tests.governance import companies

pytestmark = pytest.mark.django_db
REQUESTS = "/api/v1/requests"


def token(client_id: str, secret: str, scope: str) -> str:
    """Get a token as the agent's own client does."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "scope": scope}
    answer = Browser().post("/as/mandate/token", urlencode(form), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200, answer.content
    access_token: str = answer.json()["access_token"]
    return access_token


def test_denied_asked_approved_in_one_trace_and_a_stopped_agent_asks_for_nothing() -> None:
    company = companies.found()
    systems.ensure_builtin()
    scopes = ["mandate:request", "mandate:read"]
    _, secret = make.client(company.bot, "bot-client", auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=scopes)
    alice = context.Principal("person", "alice")
    with context.acting(trace=uuid4().hex, on_behalf_of=alice), transaction.atomic():
        denial = log.record(Action.CALL_DENIED, by=company.bot.principal, outcome="refused", code="no_grant")
    bot = Browser(headers={"Authorization": f"Bearer {token('bot-client', secret, ' '.join(scopes))}"})
    body: dict[str, Any] = {
        "agent": "research-bot",
        "entitlement": "clock:use",
        "people": ["alice"],
        "tools": ["now"],
        "lasts": "PT1H",
        "reason": "denied",
        "denied_call": str(denial.uuid),
    }

    made = bot.post(REQUESTS, body, content_type="application/json")

    assert made.status_code == 201, made.json()
    request = made.json()["id"]
    assert bot.get(f"{REQUESTS}/{request}").json()["approvals"] == [{"stage": "sponsor", "waiting_for": ["sofia"]}]
    assert bot.post(f"{REQUESTS}/{request}/approve", {}, content_type="application/json").status_code == 403
    approvals.approve(request, by=company.sofia)
    assert [event.action for event in timeline.about(f"trace:{denial.trace}")] == [
        Action.CALL_DENIED,
        Action.REQUEST_SUBMITTED,
        Action.APPROVAL_GIVEN,
        Action.GRANT_ISSUED,
    ]
    agents.suspend(company.bot, by=context.SYSTEM, reason="odd")
    assert bot.post(REQUESTS, body, content_type="application/json").status_code == 401
