"""AuthZEN 1.0: the same decisions, for other enforcement points."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from entitlements import addresses
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, System
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.delegation import permissions
from entitlements.grants import grants
from entitlements.keys import act_claim, signing
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from tests import make, waits
from tests.nodes.gateway.world import Gateway, World


def caller(audience: str = "", **changes: object) -> str:
    """Sign a token of the built-in system for the decision point."""
    mandate, _ = System.objects.get_or_create(slug="mandate", defaults={"name": "Mandate", "kind": "builtin"})
    client, _ = make.client(None, f"pep-{uuid.uuid4().hex[:8]}", auth=Client.Auth.CLIENT_SECRET_BASIC)
    now, jti = clock.now(), str(uuid.uuid4())
    IssuedToken.objects.create(
        jti=jti,
        kind="access_token",
        system=mandate,
        client=client,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    claims = {
        "iss": addresses.issuer("as/mandate"), "aud": audience or f"{settings.GATEWAY_URL}/access/v1",
        "sub": client.client_id, "client_id": client.client_id, "jti": jti, "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300, "scope": "mandate:decide",
    }  # fmt: skip
    return signing.sign("as/mandate", {**claims, **changes}, "at+jwt")


def question(here: World, **changes: object) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "subject": {"type": "user", "id": here.person.login},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": here.tool.name, "properties": {"server": here.system.slug}},
        "context": {"agent": here.agent.slug},
    }
    return {**asked, **changes}


def ask(
    node: Gateway, body: object, token: str | None = None, path: str = "evaluation", **headers: str
) -> httpx2.Response:
    sent = {"Authorization": f"Bearer {token or caller()}", **headers}
    return httpx2.post(f"{node.base}/access/v1/{path}", json=body, headers=sent, timeout=waits.SECONDS)


def test_a_granted_call_is_permitted_and_recorded(node: Gateway, here: World) -> None:
    answer = ask(node, question(here), **{"X-Request-ID": "abc"})

    assert answer.json()["decision"] is True
    assert answer.headers["x-request-id"] == "abc"
    (event,) = [event for event in here.events() if event.action == "evaluation.allowed"]
    assert str(event.uuid) == answer.json()["context"]["evaluation_id"]
    assert f"grant:{here.grant.pk}" in event.links


def test_each_agent_behind_the_one_that_acts_is_decided_about(node: Gateway, here: World) -> None:
    root = make.agent()
    client, _ = make.client(root)
    permissions.permit(root, actor=here.agent, by=SYSTEM, reason="They work together.")
    behind = {"sub": root.slug, "client_id": client.client_id}
    context = {"agent": here.agent.slug, "act": {"sub": here.agent.slug, "act": behind}}

    denied = ask(node, question(here, context=context)).json()
    make.grant(root, here.entitlement, people=[here.person])
    waits.until(lambda: ask(node, question(here, context=context)).json()["decision"])

    assert (denied["decision"], denied["context"]["code"]) == (False, "no_grant")
    assert denied["context"]["reasons"][0].startswith(f"{root.slug}: ")
    for wrong in ("front", {"sub": "another"}, {"sub": here.agent.slug, "act": {"sub": root.slug}}):
        assert ask(node, question(here, context={**context, "act": wrong})).status_code == 400


def test_a_denial_is_an_answer_that_says_what_would_help(node: Gateway, here: World) -> None:
    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")

    answer = ask(node, question(here))

    assert (answer.status_code, answer.json()["decision"]) == (200, False)
    context = answer.json()["context"]
    assert (context["code"], context["reason"]) == ("no_grant", "approval_required")
    assert f"agent={here.agent.slug}" in context["access_request"]["form_url"]
    assert [event.action for event in here.events() if event.action.startswith("evaluation.")] == ["evaluation.denied"]


def test_it_agrees_with_the_gateway(node: Gateway, here: World) -> None:
    before = (ask(node, question(here)).json()["decision"], node.call(here).json()["result"]["isError"])
    grants.suspend(here.grant.pk, by=SYSTEM, reason="test")
    waits.until(lambda: not ask(node, question(here)).json()["decision"])  # the node has applied it, as a receipt says
    after = (
        ask(node, question(here)).json()["context"]["code"],
        node.call(here).json()["result"]["_meta"]["mandate/denial"]["code"],
    )

    assert before == (True, False)
    assert after == ("grant_suspended", "grant_suspended")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"action": {"name": "tools/delete"}}, "unknown_method"),
        ({"context": {"agent": "nobody"}}, "agent_unknown"),
        ({"subject": {"type": "user", "id": "nobody"}}, "person_unknown"),
        ({"subject": {"type": "spaceship", "id": "alice"}}, "subject_unknown"),
        ({"resource": {"type": "planet", "id": "x", "properties": {"server": "any"}}}, "resource_unknown"),
        ({"resource": {"type": "tool", "id": "x"}}, "system_unknown"),
        ({"resource": {"type": "tool", "id": "x", "properties": {"server": 5}}}, "system_unknown"),
        ({"context": {}}, "agent_unknown"),
    ],
)
def test_what_is_not_known_is_denied(node: Gateway, here: World, change: dict[str, Any], code: str) -> None:
    answer = ask(node, question(here, **change)).json()

    assert (answer["decision"], answer["context"]["code"]) == (False, code)


def test_an_agent_may_be_named_by_its_client(node: Gateway, here: World) -> None:
    assert ask(node, question(here, context={"agent": here.client.client_id})).json()["decision"] is True


@pytest.mark.parametrize("lacking", ["subject", "action", "resource"])
def test_a_question_that_lacks_something_is_a_bad_request(node: Gateway, here: World, lacking: str) -> None:
    asked = question(here)
    del asked[lacking]

    assert ask(node, asked).status_code == 400


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"a":1,"a":2}', b'{"a":1e400}', b"[" * 100_000])
def test_a_body_that_is_no_strict_json_is_a_bad_request(node: Gateway, here: World, text: bytes) -> None:
    del here
    answer = httpx2.post(
        f"{node.base}/access/v1/evaluation", content=text, headers={"Authorization": f"Bearer {caller()}"}
    )

    assert answer.status_code == 400


def test_many_questions_keep_their_order_and_entities_replace_the_defaults_whole(node: Gateway, here: World) -> None:
    other = {"type": "tool", "id": "nothing", "properties": {"server": here.system.slug}}
    body = {**question(here), "evaluations": [{}, {"resource": other}, {"resource": {"type": "tool"}}, {}]}

    found = ask(node, body, path="evaluations").json()["evaluations"]

    assert [each["decision"] for each in found] == [True, False, False, True]
    assert found[1]["context"]["code"] == "unknown_tool"
    assert found[2]["context"]["error"]["status"] == 400


@pytest.mark.parametrize(
    ("semantic", "count"), [("execute_all", 3), ("deny_on_first_deny", 2), ("permit_on_first_permit", 1)]
)
def test_a_semantic_may_cut_the_list_short(node: Gateway, here: World, semantic: str, count: int) -> None:
    body = {
        **question(here),
        "evaluations": [{}, {"action": {"name": "x"}}, {}],
        "options": {"evaluations_semantic": semantic},
    }

    assert len(ask(node, body, path="evaluations").json()["evaluations"]) == count


def test_without_evaluations_the_body_is_the_question(node: Gateway, here: World) -> None:
    assert ask(node, {**question(here), "evaluations": []}, path="evaluations").json()["decision"] is True


def test_only_a_token_for_the_decision_point_may_ask(node: Gateway, here: World) -> None:
    wrong = [here.token(), caller(audience=f"{settings.CONSOLE_URL}/api/v1"), "x.y.z"]

    assert [ask(node, question(here), token).status_code for token in wrong] == [401, 401, 401]


def test_a_token_for_something_else_may_not_ask(node: Gateway, here: World) -> None:
    answer = ask(node, question(here), caller(scope="mandate:request"))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert 'scope="mandate:decide"' in answer.headers["www-authenticate"]


def test_a_caller_that_was_stopped_may_not_ask_any_more(node: Gateway, here: World) -> None:
    token = caller()
    assert ask(node, question(here), token).status_code == 200
    IssuedToken.objects.filter(system__slug="mandate").update(revoked_at=clock.now(), revoke_reason="test")

    assert ask(node, question(here), token).status_code == 401


def test_a_caller_that_was_stopped_and_is_back_asks_with_a_new_token_only(node: Gateway, here: World) -> None:
    token = caller()
    client = Client.objects.latest("pk")
    clients.disable(client, by=SYSTEM, reason="leaked")
    clients.enable(client, by=SYSTEM, reason="its secret is new")

    assert ask(node, question(here), token).status_code == 401


def for_a_person(here: World, *behind: tuple[str, str]) -> str:
    """Sign a token of the world's agent for its person at the decision point, with a grant of its own there."""
    asker = replace(here, system=(mandate := System.objects.get_or_create(slug="mandate", kind="builtin")[0]))
    asker.entitlement, _ = Entitlement.objects.get_or_create(system=mandate, scope="mandate:decide", name="Decide")
    if not asker.entitlement.lines.exists():
        EntitlementTool.objects.create(entitlement=asker.entitlement, tool=make.tool(mandate))
    for agent in Agent.objects.filter(slug__in=[here.agent.slug, *(slug for slug, _ in behind)]):
        asker.grant = make.grant(agent, asker.entitlement, people=[here.person])
    act = act_claim.claim(here.agent.slug, behind, addresses.issuer("idp"))
    return asker.token(aud=f"{settings.GATEWAY_URL}/access/v1", act=act)


def test_a_caller_that_names_no_agent_asks_about_its_own(node: Gateway, here: World) -> None:
    asked = question(here)
    del asked["context"]

    assert ask(node, asked, for_a_person(here)).json()["decision"] is True
    assert ask(node, asked).json()["context"]["code"] == "agent_unknown"


def test_a_caller_for_a_person_asks_as_long_as_the_session_lasts(node: Gateway, here: World) -> None:
    token = for_a_person(here)
    assert ask(node, question(here), token).json()["decision"] is True
    sessions.end(here.session.pk, by=SYSTEM, reason="test")

    assert refused_in_time(node, here, token) == (401, "session_ended")


def test_a_caller_with_a_chain_asks_as_long_as_every_agent_of_it_may(node: Gateway, here: World) -> None:
    root = make.agent()
    client, _ = make.client(root)
    permissions.permit(root, actor=here.agent, by=SYSTEM, reason="They work together.")
    Session.objects.filter(pk=here.session.pk).update(agent=root, client=client)
    token = for_a_person(here, (root.slug, client.client_id))
    assert ask(node, question(here), token).json()["decision"] is True
    agents.suspend(root, by=SYSTEM, reason="test")

    assert refused_in_time(node, here, token) == (403, "agent_suspended")


def refused_in_time(node: Gateway, here: World, token: str) -> tuple[int, str]:
    """Return what a caller is refused with once the node has heard."""
    waits.until(lambda: ask(node, question(here), token).status_code != 200)
    answer = ask(node, question(here), token)
    return answer.status_code, answer.json()["code"]


def test_the_decision_point_describes_itself(node: Gateway) -> None:
    said = httpx2.get(f"{node.base}/.well-known/authzen-configuration").json()

    assert said["policy_decision_point"] == settings.GATEWAY_URL
    assert said["access_evaluation_endpoint"] == f"{settings.GATEWAY_URL}/access/v1/evaluation"
