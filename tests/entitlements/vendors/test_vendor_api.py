"""Vendors over REST: registered, edited from the version that was read, and named; the tools that a person declares."""

from __future__ import annotations

from typing import Any

import pytest

from audit import clock
from audit.export import timeline
from entitlements.catalog.models import System
from entitlements.clients.models import ClientAlias
from entitlements.keys.models import SigningKey
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import PathTerms
from entitlements.vendors.models import Vendor, VendorSubject
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
NEW = {
    "slug": "maps",
    "name": "Maps",
    "kind": "mcp",
    "issuer": "https://as.maps.example/t/",
    "resources": ["https://mcp.maps.example/mcp"],
}


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def registered(ana: Person, **more: Any) -> Any:  # noqa: ANN401 - an answer
    return client.of(ana).post("/api/v1/systems", {**NEW, **more})


def test_a_vendor_is_registered_with_what_the_page_of_the_surface_names(ana: Person) -> None:
    bot, _ = make.client(make.agent("bot"), "bot-client")

    answer = registered(ana, client_ids={"bot-client": "agent-4711"})

    body = answer.json()
    assert answer.status_code == 201, body
    assert (body["kind"], body["owner"], body["issuer"], body["resource"]) == (
        "mcp",
        "ana",
        NEW["issuer"],
        "https://mcp.maps.example/mcp",
    )
    vendor = body["vendor"]
    assert body["signing_algorithm"] == "ES256"
    assert (vendor["joins"], vendor["issues"], vendor["subjects"], vendor["extra_claims"]) == (
        "our_issuer",
        True,
        "pairwise",
        [],
    )
    assert vendor["client_ids"] == {"bot-client": "agent-4711"}
    assert (vendor["test_client"], vendor["trust_test"]) == (None, None)
    assert ClientAlias.objects.get().client == bot
    event = timeline.of("system", "maps").get(action="system.registered")
    assert event.detail["issuer"] == NEW["issuer"]
    assert "salt" not in str(event.body)


MALFORMED: list[tuple[dict[str, Any], int, str]] = [
    ({"issuer": "http://as.maps.example"}, 422, "vendor_malformed"),
    ({"issuer": "https://as.maps.example?t=1"}, 422, "vendor_malformed"),
    ({"issuer": "https://as.maps.example#t"}, 422, "vendor_malformed"),
    ({"issuer": "https://user@as.maps.example"}, 422, "vendor_malformed"),
    ({"issuer": "http://localhost:8000/as/time"}, 422, "vendor_malformed"),
    ({"issuer": "https://as.maps.example/a b"}, 422, "vendor_malformed"),
    ({"resources": []}, 422, "vendor_malformed"),
    ({"resources": ["https://a.example", "https://a.example"]}, 422, "vendor_malformed"),
    ({"resources": ["ftp://a.example"]}, 422, "vendor_malformed"),
    ({"joins": "gateway"}, 422, "vendor_through_gateway"),
    ({"joins": "somehow"}, 400, "invalid"),
    ({"extra_claims": ["phone"]}, 400, "invalid"),
    ({"upstream_url": "https://mcp.maps.example/mcp"}, 400, "invalid"),
    ({"denial_shape": "jsonrpc"}, 400, "invalid"),
    ({"client_ids": {"unknown": "x"}}, 404, "not_found"),
    ({"kind": "mcp_gateway", "upstream_url": "https://mcp.maps.example/mcp"}, 400, "invalid"),
]


@pytest.mark.parametrize(("fields", "status", "code"), MALFORMED)
def test_what_cannot_be_a_vendor_is_refused_and_leaves_nothing(
    ana: Person, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = registered(ana, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert not System.objects.filter(slug="maps").exists()


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_vendor_says_what_its_assertions_are_signed_with(ana: Person, algorithm: str) -> None:
    answer = registered(ana, signing_algorithm=algorithm)
    assert (answer.status_code, answer.json()["signing_algorithm"]) == (201, algorithm)
    assert SigningKey.objects.filter(issuer="idp", algorithm=algorithm, state="active").exists()
    assert not SigningKey.objects.filter(issuer="as/maps").exists(), "it has an issuer of its own"


def test_an_issuer_is_the_server_of_one_system(ana: Person) -> None:
    assert registered(ana).status_code == 201
    answer = registered(ana, slug="maps2")
    assert (answer.status_code, answer.json()["code"]) == (409, "vendor_issuer_taken")
    assert (
        registered(ana, slug="maps3", issuer=str(NEW["issuer"]).rstrip("/")).status_code == 201
    )  # another, to the byte


def edited(person: Person, etag: str, **fields: Any) -> Any:  # noqa: ANN401 - an answer
    return client.proven(person).patch("/api/v1/systems/maps/vendor", fields, headers={"If-Match": etag})


def test_terms_change_from_the_version_that_was_read_and_say_why(ana: Person) -> None:
    etag = registered(ana).headers["ETag"]

    assert edited(ana, etag, issuer="https://other.example").json()["code"] == "reason_required"
    moved = edited(ana, etag, issuer="https://other.example", resources=["https://other.example/mcp"], reason="Moved.")
    assert moved.json()["vendor"]["issuer"] == "https://other.example"
    assert moved.json()["upstream_url"] == "https://other.example/mcp"
    assert edited(ana, etag, issues=False).status_code == 412
    assert edited(ana, moved.headers["ETag"], issues=False).json()["vendor"]["issues"] is False
    first, second = timeline.of("system", "maps").filter(action="system.edited")
    assert first.detail["issuer"] == {"from": NEW["issuer"], "to": "https://other.example"}
    assert second.detail == {"issues": {"from": True, "to": False}}
    alone = client.proven(ana).patch(
        "/api/v1/systems/maps", {"upstream_url": "https://x.example/mcp", "reason": "x"}, headers={"If-Match": '"3"'}
    )
    assert (alone.status_code, alone.json()["code"]) == (422, "system_malformed")


def test_names_at_the_vendor_are_stored_and_the_persons_is_not_in_the_log(ana: Person) -> None:
    registered(ana)
    make.client(make.agent("bot"), "bot-client")
    make.person("alice")
    proven = client.proven(ana)

    proven.put("/api/v1/systems/maps/client-ids", {"client_id": "bot-client", "foreign_id": "agent-1"})
    answer = proven.put("/api/v1/systems/maps/subjects", {"person": "alice", "subject": "alice@maps"})

    assert answer.json()["vendor"]["client_ids"] == {"bot-client": "agent-1"}
    assert VendorSubject.objects.get().subject == "alice@maps"
    event = timeline.of("person", "alice").get(action="person.named_at_system")
    assert "alice@maps" not in event.body
    make.person("bob")
    taken = proven.put("/api/v1/systems/maps/subjects", {"person": "bob", "subject": "alice@maps"})
    assert (taken.status_code, taken.json()["code"]) == (409, "vendor_name_taken")
    proven.put("/api/v1/systems/maps/subjects", {"person": "alice", "subject": ""})
    assert not VendorSubject.objects.exists()


def test_another_issuer_knows_none_of_the_names_and_tests_of_the_one_before(ana: Person) -> None:
    etag = registered(ana).headers["ETag"]
    make.client(make.agent("bot"), "bot-client")
    make.person("alice")
    proven = client.proven(ana)
    proven.put("/api/v1/systems/maps/client-ids", {"client_id": "bot-client", "foreign_id": "agent-1"})
    proven.put("/api/v1/systems/maps/subjects", {"person": "alice", "subject": "alice@maps"})
    vendor = Vendor.objects.get()
    Vendor.objects.update(trust_test=[{"name": "token"}], tested_at=clock.now())
    PathTerms.objects.create(
        system=vendor.system,
        path="native",
        token_basis="measured",
        token_seconds=60,
        said_by="ana",
        said_at=clock.now(),
        reason="x",
    )

    edited(ana, etag, issuer="https://other.example", reason="Moved.")

    now = Vendor.objects.get()
    assert now.salt != vendor.salt
    assert (now.trust_test, now.tested_at) == (None, None)
    assert not VendorSubject.objects.exists()
    assert not ClientAlias.objects.exists()
    assert PathTerms.objects.get().token_basis == "unknown"
    event = timeline.of("system", "maps").filter(action="system.edited").latest("at")
    assert event.detail["forgotten"] == {"people": 1, "clients": 1, "test": True}


def test_no_one_says_who_they_are_at_the_vendor(ana: Person) -> None:
    registered(ana)
    answer = client.proven(ana).put("/api/v1/systems/maps/subjects", {"person": "ana", "subject": "cfo@maps"})
    assert answer.json()["code"] == "self_appointment"
    assert not VendorSubject.objects.exists()


def test_a_client_is_named_at_a_vendors_server_alone(ana: Person) -> None:
    make.client(make.agent("bot"), "bot-client")
    make.client(make.agent("other"), "victim")
    make.system("time", owner=ana)
    names = {"client_id": "bot-client", "foreign_id": "victim"}
    answer = client.proven(ana).put("/api/v1/systems/time/client-ids", names)
    assert (answer.status_code, answer.json()["code"]) == (409, "vendor_missing")
    assert not ClientAlias.objects.exists()


def test_a_test_client_goes_in_and_never_comes_out_and_not_to_another_server(ana: Person) -> None:
    etag = registered(ana).headers["ETag"]
    body = {"client_id": "probe", "value": "s3cr3t-of-the-probe"}

    stored = client.proven(ana).put("/api/v1/systems/maps/test-client", body)

    assert stored.json()["vendor"]["test_client"]["client_id"] == "probe"
    assert "s3cr3t" not in stored.content.decode()
    assert b"s3cr3t" not in bytes(Vendor.objects.get().test_secret or b"")
    assert all("s3cr3t" not in event.body for event in timeline.of("system", "maps"))
    edited(ana, etag, issuer="https://other.example", reason="Moved.")
    assert Vendor.objects.get().test_secret is None


def test_declared_tools_wait_for_their_review_and_can_be_requested_then(ana: Person) -> None:
    registered(ana)
    tool = {"name": "find_route", "description": "Finds a route.", "inputSchema": {"type": "object"}}

    answer = client.of(ana).post("/api/v1/systems/maps/tools", {"tools": [tool]})

    assert answer.json()["added"] == ["find_route"]
    whole = client.of(ana).get("/api/v1/tools/maps/find_route").json()
    assert whole["state"] == "pending"


def test_only_the_systems_owner_and_analysts_agree_with_a_vendor(ana: Person) -> None:
    etag = registered(ana).headers["ETag"]
    mallory = make.person("mallory")
    assert edited(mallory, etag, issues=False).status_code in {403, 404}
    for path, body in (
        ("client-ids", {"client_id": "x", "foreign_id": "y"}),
        ("subjects", {"person": "ana", "subject": "y"}),
        ("test-client", {"client_id": "x", "value": "a-secret"}),
    ):
        assert client.proven(mallory).put(f"/api/v1/systems/maps/{path}", body).status_code in {403, 404}
    for path in ("test-trust", "tools"):
        assert client.proven(mallory).post(f"/api/v1/systems/maps/{path}", {}).status_code in {403, 404}
