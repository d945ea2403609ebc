"""Authorization details of type `mcp_tool_call`: read strictly, granted within the grants, carried, and shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from entitlements.tokens.models import IssuedToken
from tests import make, shared
from tests.entitlements.delegation import chains
from tests.entitlements.delegation.chains import Company
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.django_db

made_world, world = shared.world(chains.company)


def tool_of(world: Company) -> str:
    return str(world.entitlement.lines.get().tool.name)


def asked(world: Company, **fields: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps([{"type": "mcp_tool_call", "identifier": tool_of(world), **fields}])


def limit(world: Company, agent: object, limits: dict[str, Any]) -> None:
    """Give an agent of the chain another grant of the same, with limits, in place of its own."""
    holders: list[World | chains.Member] = [world, *world.members]
    holder = next(each for each in holders if each.agent == agent)
    type(holder.grant).objects.filter(pk=holder.grant.pk).update(
        state="revoked", ended_at="2026-01-01T00:00Z", end_reason="x"
    )
    make.grant(holder.agent, world.entitlement, people=[world.alice], limits={tool_of(world): limits})


def test_what_is_asked_for_is_carried_stored_shown_and_echoed(world: Company) -> None:
    wanted = asked(world, constraints={"amount": {"max": 5}}, locations=[world.resource], actions=["tools/call"])
    answer = world.exchange(authorization_details=wanted)

    assert answer.status == 200, answer.body
    assert answer.body["authorization_details"] == json.loads(wanted)
    id_jag = str(answer.body["access_token"])
    assert worlds.peek(id_jag)["authorization_details"] == json.loads(wanted)
    redeemed = world.redeem(id_jag)
    assert redeemed.body["authorization_details"] == json.loads(wanted)
    token = str(redeemed.body["access_token"])
    claims = worlds.peek(token)
    assert claims["authorization_details"] == json.loads(wanted)
    assert IssuedToken.objects.get(pk=claims["jti"]).authorization_details == json.loads(wanted)
    shown = world.post(f"/as/{world.system.slug}/introspect", {"token": token, **world.credentials(world.audience)})
    assert shown.body["authorization_details"] == json.loads(wanted)


def test_without_any_nothing_is_said_of_them(world: Company) -> None:
    answer = world.exchange()
    assert "authorization_details" not in answer.body
    assert "authorization_details" not in worlds.peek(str(answer.body["access_token"]))


def test_the_limits_of_every_grant_of_the_chain_are_carried(world: Company) -> None:
    front = world.members[0]
    limit(world, world.agent, {"amount": {"max": 10}})
    limit(world, front.agent, {"to": {"one_of": ["alice"]}})

    answer = chains.delegate(world, front, authorization_details=asked(world, constraints={"amount": {"max": 50}}))

    (granted,) = answer.body["authorization_details"]
    assert granted["constraints"] == {
        "all_of": [{"amount": {"max": 50}}, {"to": {"one_of": ["alice"]}}, {"amount": {"max": 10}}]
    }


def test_a_redemption_narrows_further_and_widens_nothing(world: Company) -> None:
    id_jag = world.id_jag(authorization_details=asked(world, constraints={"amount": {"max": 5}}))
    answer = world.redeem(id_jag, authorization_details=asked(world, constraints={"amount": {"max": 50}}))

    (granted,) = answer.body["authorization_details"]
    assert granted["constraints"] == {"all_of": [{"amount": {"max": 5}}, {"amount": {"max": 50}}]}


def test_what_is_delegated_on_stays_within_the_details_of_the_token(world: Company) -> None:
    front, back = world.members
    id_jag = str(
        chains.delegate(world, front, authorization_details=asked(world, constraints={"amount": {"max": 5}})).body[
            "access_token"
        ]
    )
    held = front.access_token(id_jag)

    answer = front.exchange(held, back)

    assert answer.body["authorization_details"][0]["constraints"] == {"amount": {"max": 5}}


def test_a_tool_of_no_grant_is_left_out_and_none_left_is_denied(world: Company) -> None:
    both = [*json.loads(asked(world)), {"type": "mcp_tool_call", "identifier": "unknown"}]
    answer = world.exchange(authorization_details=json.dumps(both))
    assert [each["identifier"] for each in answer.body["authorization_details"]] == [tool_of(world)]

    denied = world.exchange(authorization_details=json.dumps(both[1:]))
    assert denied.error == (400, "access_denied", "no_grant")
    assert denied.body["request_access"]


@pytest.mark.parametrize(
    "written",
    [
        "[]",
        "{}",
        "nothing",
        '[{"type": "payment_initiation"}]',
        '[{"identifier": "x"}]',
        '[{"type": "mcp_tool_call"}]',
        '[{"type": "mcp_tool_call", "identifier": ""}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "privileges": ["all"]}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "locations": ["https://elsewhere.example"]}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "actions": ["resources/read"]}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "constraints": {"a": {"matches": ".*"}}}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "constraints": {"any_of": []}}]',
        '[{"type": "mcp_tool_call", "identifier": "x", "constraints": {"all_of": [{}], "a": {"max": 1}}}]',
        '[{"type": "mcp_tool_call", "identifier": "x"}, {"type": "mcp_tool_call", "identifier": "x"}]',
        '[{"type": "mcp_tool_call", "type": "mcp_tool_call", "identifier": "x"}]',
    ],
)
def test_what_is_not_understood_is_refused_at_both_ends_and_written_nowhere(world: Company, written: str) -> None:
    id_jag, before = world.id_jag(), worlds.standing()
    for answer in (
        world.exchange(authorization_details=written),
        world.redeem(id_jag, authorization_details=written),
    ):
        assert answer.error == (400, "invalid_authorization_details", "authorization_details_invalid")
    assert worlds.standing() == before
    assert len(worlds.refusals()) == 2


def test_the_metadata_of_both_issuers_names_the_type(world: Company) -> None:
    for path in ("idp", f"as/{world.system.slug}"):
        answer = world.http.get(f"/.well-known/oauth-authorization-server/{path}")
        assert json.loads(answer.content)["authorization_details_types_supported"] == ["mcp_tool_call"]


def test_the_answer_says_what_became_of_each_scope(world: Company) -> None:
    answer = world.exchange(scope="time:read time:write git:read")
    assert answer.body["scope_outcomes"] == {
        "git:read": "other_system",
        "time:read": "granted",
        "time:write": "not_held",
    }
    redeemed = world.redeem(str(answer.body["access_token"]), scope="time:read time:write")
    assert redeemed.body["scope_outcomes"] == {"time:read": "granted", "time:write": "outside_ceiling"}


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials"])
def test_where_no_token_could_carry_any_they_are_refused(world: Company, grant: str) -> None:
    details = {"grant_type": grant, "authorization_details": asked(world)}
    before = worlds.standing()
    at_system = world.post(f"/as/{world.system.slug}/token", {**details, **world.credentials(world.audience)})
    assert at_system.error == (400, "invalid_request", "not_supported")
    at_idp = world.post("/idp/token", {**details, **world.credentials(world.idp)})
    assert at_idp.error == (400, "invalid_request", "not_supported")
    assert worlds.standing() == before
