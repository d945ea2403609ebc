"""A person whom the directory deactivates is out at once: streams, tokens, sessions, and what waits for them."""

from __future__ import annotations

import uuid

import httpx2
from django.test import Client

from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Role
from governance.approvals.models import Approval
from tests import make, waits
from tests.governance.scim.directory import Directory
from tests.nodes.gateway.world import Gateway, World


def _hello(node: Gateway, here: World, token: str) -> str:
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    return str(node.post(here.system.slug, body, token).headers["mcp-session-id"])


def test_a_deactivation_by_scim_ends_that_persons_tokens_streams_and_approvals_at_once(
    node: Gateway, here: World
) -> None:
    directory = Directory(f"okta-{uuid.uuid4().hex[:6]}")
    entry, person = directory.keeps(here.person), here.person
    other = make.security(f"rob-{uuid.uuid4().hex[:6]}")
    people.assign_role(person, Role.SECURITY, by=SYSTEM, reason="test")
    wipe = make.tool(make.system(), risk="critical")
    asked = make.request(make.entitlement(wipe.system, wipe), make.agent(), by=make.analyst(), people=[make.person()])
    assert asked.approvals.filter(waiting_for=person).exists()
    personal = people.make_api_token(person, "script", by=SYSTEM)
    token = here.token()
    headers = {
        "Authorization": f"Bearer {token}",
        "Mcp-Session-Id": _hello(node, here, token),
        "Accept": "text/event-stream",
    }

    with httpx2.stream(
        "GET", f"{node.base}/gw/{here.system.slug}/mcp", headers=headers, timeout=waits.SECONDS
    ) as stream:
        lines = stream.iter_lines()
        assert ": keep-alive" in lines  # which reads up to it
        assert directory.off(str(entry.pk)).status_code == 200
        assert list(lines) in ([], [""])

    assert node.call(here, token).json()["result"]["_meta"]["mandate/denial"]["code"] == "person_disabled"
    here.session.refresh_from_db()
    assert here.session.ended_at is not None
    assert Client().get("/api/v1/agents", headers={"Authorization": f"Bearer {personal}"}).status_code == 401
    waiting = asked.approvals.filter(answer=Approval.Answer.WAITING)
    assert not waiting.filter(waiting_for=person).exists()
    assert waiting.filter(waiting_for=other).exists()
    actions = [event.action for event in here.events(f"person:{person.login}")]
    assert "person.disabled" in actions
