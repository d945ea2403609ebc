"""From the gateway's own denial to the same call being answered: one chain, under one trace."""

from __future__ import annotations

from typing import Any

from django.test import Client as Browser

from audit.actions import Action
from audit.export import timeline
from entitlements.catalog import systems
from entitlements.clients.models import Client
from governance.approvals import approvals
from tests import make, waits
from tests.governance.requests.test_agents_ask import token
from tests.nodes.gateway.world import Gateway, World


def test_what_was_denied_is_asked_for_approved_and_then_the_same_call_goes_on(node: Gateway, here: World) -> None:
    systems.ensure_builtin()
    definition = {"name": "convert_time", "description": "Converts.", "inputSchema": {"type": "object"}}
    wanted = make.tool(here.system, "convert_time", definition=definition)
    further = make.entitlement(here.system, wanted, scope=f"{here.system.slug}:convert")
    _, secret = make.client(
        here.agent, "asks", auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:request", "mandate:read"]
    )
    asks = Browser(headers={"Authorization": f"Bearer {token('asks', secret, 'mandate:request mandate:read')}"})
    bearer = here.token(scope=f"{here.entitlement.scope} {further.scope}")
    arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}

    def call() -> dict[str, Any]:
        answer = node.modern(here.system.slug, "tools/call", bearer, name="convert_time", arguments=arguments).json()
        return dict(answer["result"])

    denied = call()
    assert denied["isError"] is True
    told = denied["_meta"]["mandate/denial"]

    made = asks.post(
        "/api/v1/requests",
        {
            "agent": here.agent.slug,
            "entitlement": further.scope,
            "people": [here.person.login],
            "tools": ["convert_time"],
            "lasts": "PT1H",
            "reason": "It was denied.",
            "denied_call": told["evaluation_id"],
        },
        content_type="application/json",
    )
    assert made.status_code == 201, made.json()
    waiting = approvals.approve(made.json()["id"], by=here.agent.sponsor)
    assert waiting.state == "approved"

    waits.until(lambda: "21:00" in str(call()["content"]))
    denial = next(event for event in here.events() if str(event.uuid) == told["evaluation_id"])
    assert [event.action for event in timeline.about(f"trace:{denial.trace}")] == [
        Action.CALL_DENIED,
        Action.REQUEST_SUBMITTED,
        Action.APPROVAL_GIVEN,
        Action.GRANT_ISSUED,
    ]
    allowed = next(event for event in here.events() if event.action == Action.CALL_ALLOWED)
    assert f"tool:{here.system.slug}/convert_time" in allowed.links
