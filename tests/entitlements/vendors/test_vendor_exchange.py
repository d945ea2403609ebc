"""An ID-JAG for a vendor's own authorization server: what it says, and when there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from audit.context import SYSTEM
from entitlements.catalog import systems, tools
from entitlements.catalog.models import EntitlementTool, Tool
from entitlements.clients.models import ClientAlias
from entitlements.people.models import Person
from entitlements.tokens.models import IssuedToken
from entitlements.vendors import rules, vendors
from entitlements.vendors.models import Vendor
from tests import make
from tests.entitlements.edge import worlds as edge_worlds
from tests.entitlements.vendors import worlds
from tests.entitlements.vendors.worlds import VendorWorld


def test_the_vendor_gets_what_the_profile_says_and_nothing_of_ours(world: VendorWorld) -> None:
    claims = world.claims()
    assert claims.keys() == {
        *("iss", "sub", "aud", "client_id", "jti", "exp", "iat", "resource", "scope", "auth_time", "act", "txn")
    }
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (
        "http://localhost:8000/idp",
        worlds.ISSUER,
        worlds.NAME_THERE,
    )
    assert (claims["resource"], claims["scope"]) == (worlds.RESOURCE, "maps:read")
    assert claims["exp"] - claims["iat"] <= 300
    row = IssuedToken.objects.get()
    assert (row.system, row.kind, row.scope) == (world.vendor, "id_jag", "maps:read")


@pytest.mark.parametrize("audience", [worlds.ISSUER[:-1], f"{worlds.ISSUER}/", worlds.ISSUER.upper()])
def test_the_issuer_is_compared_byte_by_byte(world: VendorWorld, audience: str) -> None:
    assert world.exchange(audience=audience).error == (400, "invalid_target", "invalid_target")


def test_a_resource_belongs_to_its_audience(world: VendorWorld) -> None:
    assert world.claims(resource=worlds.SECOND)["resource"] == worlds.SECOND
    for resource in (None, f"{worlds.RESOURCE}/", world.edge.resource, worlds.ISSUER):
        assert world.exchange(resource=resource).error == (400, "invalid_target", "invalid_target")
    assert world.edge.exchange(resource=worlds.RESOURCE).error[:2] == (400, "invalid_target")


def provider(world: VendorWorld) -> None:
    world.edit(joins="company_provider")


def switched_off(world: VendorWorld) -> None:
    world.edit(issues=False)


def unnamed(_world: VendorWorld) -> None:
    ClientAlias.objects.all().delete()


def disabled(world: VendorWorld) -> None:
    systems.disable_system(world.vendor, by=SYSTEM, reason="odd")


def no_account(world: VendorWorld) -> None:
    world.edit(subjects="stored")


def no_mail(world: VendorWorld) -> None:
    Person.objects.filter(login="alice").update(email="")
    world.edit(subjects="email")


def wider(world: VendorWorld) -> None:
    EntitlementTool.objects.create(entitlement=world.entitlement, tool=make.tool(world.vendor, "delete_all"))


def quarantined(world: VendorWorld) -> None:
    tools.quarantine(Tool.objects.get(system=world.vendor), by=SYSTEM, reason="odd")


REFUSED: list[tuple[Callable[[VendorWorld], None], str, str]] = [
    (provider, "invalid_target", "vendor_trusts_provider"),
    (switched_off, "invalid_target", "vendor_switched_off"),
    (unnamed, "invalid_target", "client_not_named"),
    (disabled, "invalid_target", "system_disabled"),
    (no_account, "access_denied", "vendor_subject_missing"),
    (no_mail, "access_denied", "vendor_subject_missing"),
    (wider, "access_denied", "grant_narrower_than_scope"),
    (quarantined, "access_denied", "no_grant"),
]


@pytest.mark.parametrize(("happens", "word", "code"), REFUSED)
def test_each_denial_is_one_event_and_no_token(
    world: VendorWorld, happens: Callable[[VendorWorld], None], word: str, code: str
) -> None:
    happens(world)
    before = edge_worlds.standing()
    assert world.exchange().error == (400, word, code)
    (event,) = edge_worlds.refusals()
    assert event.code == code
    assert "system:maps" in event.about
    assert edge_worlds.standing() == before


def test_no_server_of_ours_stands_in_for_the_vendors(world: VendorWorld) -> None:
    ours = "http://localhost:8000/as/maps"
    assert world.exchange(audience=ours).error == (400, "invalid_target", "invalid_target")
    alone = {"grant_type": "client_credentials", **world.edge.credentials(ours)}
    assert world.edge.post("/as/maps/token", alone).status == 404
    for path in ("/.well-known/oauth-authorization-server/as/maps", "/as/maps/jwks.json"):
        assert world.edge.http.get(path).status_code == 404


def test_a_client_known_by_its_document_needs_no_name_there(world: VendorWorld) -> None:
    document, _ = make.client(world.edge.agent, "https://client.example/mcp.json", jwks=world.edge.client.jwks)
    world.edge.client = document
    assert world.claims()["client_id"] == "https://client.example/mcp.json"


def test_two_vendors_cannot_tell_that_a_person_or_an_agent_is_the_same(world: VendorWorld) -> None:
    first = world.claims()
    assert first["sub"] == world.claims()["sub"]
    Vendor.objects.update(salt="11" * 32)
    second = world.claims()
    values = {str(value) for value in first.values() if isinstance(value, str)}
    assert not values & {"alice", "expense-bot"}
    assert first["sub"] != second["sub"]
    assert first["act"]["sub"] != second["act"]["sub"]


def test_a_chosen_subject_is_what_the_vendor_knows(world: VendorWorld) -> None:
    Person.objects.filter(login="alice").update(email="alice@example.org")
    vendors.name_person(world.vendor, person=world.edge.alice, subject="00u-7", by=SYSTEM)
    for subjects, name in (("login", "alice"), ("email", "alice@example.org"), ("stored", "00u-7")):
        world.edit(subjects=subjects)
        claims = world.claims()
        assert (claims["sub"], claims["act"]["sub"]) == (name, "expense-bot")
        assert not claims.keys() & {"email", "aud_sub"}
    world.edit(extra_claims=["email", "aud_sub"])
    claims = world.claims()
    assert (claims["email"], claims["aud_sub"]) == ("alice@example.org", "00u-7")


def test_scopes_are_called_as_the_vendor_calls_them(world: VendorWorld) -> None:
    world.edit(scope_names="bare")
    for scope in (None, "read", "maps:read", "read write openid"):
        answer = world.exchange(scope=scope)
        assert answer.body["scope"] == edge_worlds.peek(str(answer.body["access_token"]))["scope"] == "read"
    assert world.exchange(scope="write").error[1:] == ("access_denied", "no_grant")
    assert {row.scope for row in IssuedToken.objects.all()} == {"maps:read"}


def told_address(world: VendorWorld) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT vendor_email_v1(%s, %s)", [world.vendor.pk, world.edge.alice.pk])
        address: str | None = cursor.fetchone()[0]
    return address


def test_a_mail_address_is_given_for_a_vendor_alone_for_which_it_was_chosen(world: VendorWorld) -> None:
    Person.objects.filter(login="alice").update(email="alice@example.org")
    assert told_address(world) is None
    for chosen in ({"subjects": "email"}, {"subjects": "pairwise", "extra_claims": ["email"]}):
        world.edit(**chosen)
        assert told_address(world) == "alice@example.org"
        world.edit(issues=False)
        assert told_address(world) is None
        world.edit(issues=True, joins="company_provider")
        assert told_address(world) is None
        world.edit(joins="our_issuer")
    world.edit(extra_claims=["aud_sub"])
    assert told_address(world) is None


def test_every_agent_of_a_chain_is_renamed_for_a_pairwise_subject() -> None:
    terms = rules.Terms(
        "https://a.example",
        (),
        "our_issuer",
        issues=True,
        subjects="pairwise",
        extra_claims=(),
        salt="22" * 32,
    )
    act = {"sub": "outer", "iss": "x", "act": {"sub": "inner", "act": {"sub": "outer"}}}
    claims = rules.presented(terms, {"sub": "p"}, {"act": act, "sid": "s", "token_family": "f", "sub": "alice"})
    assert claims["act"]["act"]["act"]["sub"] == claims["act"]["sub"]
    assert {claims["act"]["sub"], claims["act"]["act"]["sub"]}.isdisjoint({"outer", "inner"})
    assert claims.keys() == {"act", "sub"}
