"""One sign-in for all systems: its page, its tokens and its refresh draw on every grant, and end with none of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import systems
from entitlements.catalog.models import Entitlement, System
from entitlements.decisions import scopes
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from entitlements.tokens import presented
from entitlements.tokens.models import IssuedToken, TokenGrant
from tests import make
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge.sign_ins import agree, question, refresh, signed_in
from tests.entitlements.edge.worlds import World, key_set, peek

RESOURCE = "http://localhost:8001/gw/mcp"


@pytest.fixture
def git(world: World) -> Grant:
    """Let alice's agent use a second system."""
    system = make.system("git")
    entitlement = make.entitlement(system, make.tool(system, "git_log"), scope="git:read")
    return make.grant(world.agent, entitlement, people=[world.alice])


@pytest.fixture
def every(world: World, git: Grant) -> World:
    """Return the world as it is at the issuer of all systems, with a client on alice's desk."""
    sign_ins.public_client(world)
    assert git.agent == world.agent
    return replace(world, system=systems.ensure_all_systems())


BOTH = "git:read time:read"


def test_one_sign_in_gives_one_token_for_every_system(every: World) -> None:
    answer = signed_in(every)

    assert (answer.body["scope"], answer.body["resource"]) == (BOTH, RESOURCE)
    claims = signing.verify(answer.body["access_token"], "as/all", "at+jwt")
    assert (claims["iss"], claims["aud"]) == ("http://localhost:8000/as/all", RESOURCE)
    assert (claims["sub"], claims["act"]["sub"]) == ("alice", every.agent.slug)
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert TokenFamily.objects.get().system == every.system
    assert not TokenGrant.objects.filter(token=claims["jti"]).exists()
    issued = Event.objects.get(action="token.issued")
    assert {"system:all", "person:alice"} <= set(issued.links)


def test_the_page_names_each_system_and_what_the_client_may_do_there(every: World, git: Grant) -> None:
    hidden = make.tool(git.entitlement.system, "hidden_tool")

    text = every.http.get("/as/all/authorize", question(every)).content.decode()

    for shown in ("All systems", "At git", "At time", "Does git_log.", "is claimed"):
        assert shown in text, shown
    assert hidden.sentence not in text
    assert "later at All systems" in text


def test_the_page_shows_the_tools_of_the_scopes_that_are_asked_for_alone(every: World) -> None:
    answer = signed_in(every, scope="git:read mandate:agents:read other:read")

    assert answer.body["scope"] == "git:read"
    text = every.http.get("/as/all/authorize", question(every, scope="git:read")).content.decode()
    assert "At git" in text
    assert "At time" not in text


def test_a_lost_grant_ends_its_own_access_and_without_any_the_token_opens_nothing(every: World, git: Grant) -> None:
    first = signed_in(every)
    grants.revoke(git.pk, by=SYSTEM, reason="over")

    token = IssuedToken.objects.get(jti=peek(first.body["access_token"])["jti"])
    assert token.revoked_at is None
    assert presented.access_token(first.body["access_token"], "all", RESOURCE).person == "alice"
    second = refresh(every, first.body["refresh_token"])
    assert (second.status, second.body["scope"]) == (200, "time:read")

    grants.revoke(every.grant.pk, by=SYSTEM, reason="over")
    assert presented.access_token(second.body["access_token"], "all", RESOURCE).scopes == ()
    third = refresh(every, second.body["refresh_token"])
    assert (third.status, third.body["scope"]) == (200, "")


def test_what_is_granted_later_is_there_with_the_next_refresh(every: World) -> None:
    first = signed_in(every)
    maps = make.system("maps")
    make.grant(every.agent, make.entitlement(maps, scope="maps:read"), people=[every.alice])

    assert refresh(every, first.body["refresh_token"]).body["scope"] == "git:read maps:read time:read"


@pytest.mark.parametrize("kind", [System.Kind.MCP, System.Kind.KNOWN])
def test_a_system_that_the_gateway_does_not_serve_is_left_out(every: World, kind: System.Kind) -> None:
    """Nothing of such a system passes the gateway, so no decision of a call would stand behind its scope."""
    native = make.system("native", kind=kind)
    make.grant(every.agent, make.entitlement(native, scope="native:read"), people=[every.alice])

    assert signed_in(every).body["scope"] == BOTH
    assert "At native" not in every.http.get("/as/all/authorize", question(every)).content.decode()


def test_what_is_disabled_or_of_another_person_is_left_out(every: World, git: Grant) -> None:
    maps, bob = make.system("maps"), make.person("bob")
    make.grant(every.agent, make.entitlement(maps, scope="maps:read"), people=[bob])
    Entitlement.objects.filter(scope="git:read").update(enabled=False)
    assert signed_in(every).body["scope"] == "time:read"

    systems.disable_system(System.objects.get(slug="time"), by=SYSTEM, reason="moved")
    page = every.http.get("/as/all/authorize", question(every)).content.decode()
    assert "has no access to All systems for you yet" in page
    assert 'name="allow"' in page
    assert git.agent == every.agent


def test_a_code_and_a_refresh_token_of_all_are_worth_nothing_at_a_system_and_the_other_way_round(
    every: World, world: World
) -> None:
    code = agree(every)["code"]
    assert sign_ins.redeem(world, code).error[:2] == (400, "invalid_grant")
    there, here = signed_in(world), signed_in(every)
    assert refresh(world, here.body["refresh_token"]).error == (400, "invalid_grant", "refresh_token_unknown")
    assert refresh(every, there.body["refresh_token"]).error == (400, "invalid_grant", "refresh_token_unknown")


@pytest.mark.parametrize("resource", ["http://localhost:8001/gw/time/mcp", "http://localhost:8000/api/v1"])
def test_the_resource_is_the_one_address_and_no_other(every: World, resource: str) -> None:
    answer = every.http.get("/as/all/authorize", question(every, resource=resource))
    assert sign_ins.sent_back(answer)["error"] == "invalid_target"


def test_metadata_says_that_people_sign_in_here(every: World) -> None:
    document = every.http.get("/.well-known/oauth-authorization-server/as/all").json()

    assert document["issuer"] == every.audience
    assert document["authorization_endpoint"] == f"{every.audience}/authorize"
    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(document["grant_types_supported"])
    assert "scopes_supported" not in document, "a client that asks for none gets what is held"


def test_the_two_legs_of_enterprise_managed_authorization_lead_here_too(every: World) -> None:
    redeemed = every.redeem(every.id_jag())

    assert (redeemed.status, redeemed.body["scope"], redeemed.body["resource"]) == (200, BOTH, RESOURCE)
    assert peek(redeemed.body["access_token"])["sub"] == "alice"


def test_an_agent_on_its_own_gets_what_it_holds_on_its_own(every: World, git: Grant) -> None:
    assert every.alone().error == (400, "access_denied", "no_grant")
    make.grant(every.agent, git.entitlement)
    answer = every.alone()

    assert (answer.status, answer.body["scope"]) == (200, "git:read")
    assert "act" not in peek(answer.body["access_token"])


def test_a_script_holds_nothing_here(every: World) -> None:
    """Its rights are at our own API alone, which is another built-in system."""
    make.client(None, "script", jwks=key_set(every.client_key), api_scopes=["mandate:agents:read"])

    answer = every.alone(**every.credentials(every.audience, iss="script", sub="script"))

    assert answer.error == (400, "access_denied", "agent_unknown")


def test_a_sign_in_at_two_hundred_scopes_still_fits_into_a_token(every: World) -> None:
    maps = make.system("maps")
    tool = make.tool(maps, "many")
    for number in range(205):
        make.grant(every.agent, make.entitlement(maps, tool, scope=f"maps:s{number:03}"), people=[every.alice])

    answer = signed_in(every)

    assert len(scopes.parse(answer.body["scope"])) == 200
    assert presented.access_token(answer.body["access_token"], "all", RESOURCE).person == "alice"
    assert refresh(every, answer.body["refresh_token"]).status == 200
