from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people.models import Role
from entitlements.secrets.models import Secret
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def test_a_list_is_walked_page_by_page_without_gaps_or_repeats() -> None:
    wanted = [make.grant().pk for _ in range(5)]
    ana = client.of(make.analyst())
    found: list[str] = []
    address = "/api/v1/grants?limit=2"

    page: dict[str, Any] = ana.get(address).json()
    while True:
        found += [each["id"] for each in page["results"]]
        if page["next"] is None:
            break
        page = ana.get(f"{address}&cursor={page['next']}").json()

    assert found == [str(pk) for pk in reversed(wanted)]


def test_a_cursor_serves_its_own_list_and_shows_nothing_to_others() -> None:
    for _ in range(2):
        make.grant()
    cursor = client.of(make.analyst()).get("/api/v1/grants?limit=1").json()["next"]

    assert client.of(make.person()).get(f"/api/v1/grants?cursor={cursor}").json()["results"] == []
    elsewhere = client.of(make.analyst()).get(f"/api/v1/agents?cursor={cursor}")
    assert elsewhere.json()["code"] == "cursor_malformed"


def test_registering_an_agent_names_its_sponsor() -> None:
    make.person("sofia")
    body = {"slug": "bot", "name": "Bot", "kind": "shared", "sponsor": "sofia", "purpose": "Books travel."}

    answer = client.of(make.analyst()).post("/api/v1/agents", body)

    assert answer.status_code == 201
    assert answer.json()["sponsor"] == "sofia"
    assert client.of(make.analyst()).post("/api/v1/agents", body).json()["code"] == "slug_taken"
    nobody = client.of(make.analyst()).post("/api/v1/agents", {**body, "slug": "b2", "sponsor": "nobody"})
    assert (nobody.status_code, nobody.json()["code"]) == (422, "unknown_person")


def test_an_edit_needs_the_version_that_it_was_made_from() -> None:
    agent, ana = make.agent("bot"), client.of(make.analyst())
    read = ana.get("/api/v1/agents/bot")

    blind = ana.patch("/api/v1/agents/bot", {"name": "New"})
    edited = ana.patch("/api/v1/agents/bot", {"name": "New"}, headers={"If-Match": read["ETag"]})
    late = ana.patch("/api/v1/agents/bot", {"name": "Other"}, headers={"If-Match": read["ETag"]})

    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")
    assert (edited.status_code, edited.json()["name"]) == (200, "New")
    assert edited["ETag"] != read["ETag"]
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    agent.refresh_from_db()
    assert agent.name == "New"


def test_whether_the_business_can_do_without_an_agent_is_said_by_those_who_watch_and_not_by_its_sponsor() -> None:
    sofia, ana = make.person("sofia"), client.of(make.analyst())
    make.agent("bot", sponsor=sofia)
    make.agent("other")
    address = "/api/v1/agents/bot/criticality"
    assert client.of(sofia).put(address, {"business_critical": True, "reason": "mine"}).status_code == 403
    assert ana.put(address, {"business_critical": True, "reason": " "}).status_code == 400

    said = ana.put(address, {"business_critical": True, "reason": "It closes the books."})

    assert (said.status_code, said.json()["business_critical"]) == (200, True)
    again = ana.put(address, {"business_critical": True, "reason": "again"})
    assert again["ETag"] == said["ETag"]
    found = ana.get("/api/v1/agents?business_critical=true").json()["results"]
    assert [each["slug"] for each in found] == ["bot"]
    event = timeline.of("agent", "bot").get(action=Action.AGENT_CRITICALITY_CHANGED)
    assert (event.reason, event.detail) == ("It closes the books.", {"business_critical": True})


def test_the_sponsor_stops_an_agent_and_cannot_start_it_again() -> None:
    agent, sponsor = make.agent("bot"), make.person("sofia")
    Agent.objects.update(sponsor=sponsor)
    sofia = client.of(sponsor)

    assert sofia.post("/api/v1/agents/bot/suspend", {"reason": "odd"}).json()["status"] == "suspended"
    assert sofia.post("/api/v1/agents/bot/restore", {"reason": "fine"}).status_code == 403
    restored = client.of(make.analyst()).post("/api/v1/agents/bot/restore", {"reason": "fine"})
    assert restored.json()["status"] == "active"
    assert agent.slug == "bot"


def test_the_owner_of_another_agent_does_not_find_this_one() -> None:
    agent, other = make.agent(), make.agent()
    assert other.owner
    seen = client.of(other.owner)

    assert seen.get(f"/api/v1/agents/{agent.slug}").status_code == 404
    assert seen.post(f"/api/v1/agents/{agent.slug}/suspend", {"reason": "x"}).status_code == 404
    assert [each["slug"] for each in seen.get("/api/v1/agents").json()["results"]] == [other.slug]


def test_a_system_is_registered_edited_and_stopped_by_its_owner() -> None:
    sam, ana = make.person("sam"), client.of(make.analyst())
    body = {
        "slug": "time",
        "name": "Time",
        "kind": "mcp_gateway",
        "owner": "sam",
        "upstream_url": "https://t.example/",
    }

    made = ana.post("/api/v1/systems", body)
    stopped = client.of(sam).post("/api/v1/systems/time/disable", {"reason": "leak"})

    assert made.status_code == 201
    assert made.json()["resource"] == "http://localhost:8001/gw/time/mcp"
    assert made.json()["issuer"] == "http://localhost:8000/as/time"
    assert stopped.json()["status"] == "disabled"
    assert ana.post("/api/v1/systems", {**body, "slug": "m2", "kind": "builtin"}).status_code == 400


def test_a_credential_goes_in_and_never_comes_out() -> None:
    system = make.system("time")
    assert system.owner
    sam = client.proven(system.owner)

    stored = sam.put("/api/v1/systems/time/secret", {"value": "s3cr3t-of-the-upstream"})
    read = sam.get("/api/v1/systems/time")

    assert stored.status_code == 200
    assert read.json()["secret"]["last_four"] == "ream"
    assert "s3cr3t" not in stored.content.decode() + read.content.decode()
    assert b"s3cr3t" not in bytes(Secret.objects.get().sealed)
    assert all("s3cr3t" not in event.body for event in timeline.of("system", "time"))


def test_a_tool_is_approved_as_it_was_read() -> None:
    tool = make.tool(make.system("time"), "now", state="pending")
    ana = client.of(make.analyst())
    whole = ana.get("/api/v1/tools/time/now").json()
    said = {"sentence": "Tells the time.", "action": "read", "risk": "low"}

    moved = ana.post("/api/v1/tools/time/now/approve", {**said, "sha256": "0" * 64})
    approved = ana.post("/api/v1/tools/time/now/approve", {**said, "sha256": whole["seen"]["sha256"]})

    assert whole["seen_definition"]["name"] == "now"
    assert (moved.status_code, moved.json()["code"]) == (409, "tool_definition_moved")
    assert approved.json()["state"] == "approved"
    assert tool.name == "now"


def test_an_entitlement_is_made_of_tools_by_name_with_limits() -> None:
    system = make.system("time")
    make.tool(system, "now")
    ana = client.of(make.analyst())
    body = {
        "system": "time",
        "scope": "time:read",
        "name": "Read the time",
        "longest": "P30D",
        "lines": [{"tool": "now", "limits": {"zone": {"one_of": ["UTC"]}}}],
    }

    made = ana.post("/api/v1/entitlements", body)
    odd = ana.post("/api/v1/entitlements", {**body, "scope": "time:odd", "lines": [{"tool": "then"}]})
    bad = ana.post(
        "/api/v1/entitlements", {**body, "scope": "time:bad", "lines": [{"tool": "now", "limits": {"a": {"re": "x"}}}]}
    )

    assert (made.status_code, made.json()["longest"]) == (201, "P30D")
    assert made.json()["lines"] == [{"tool": "now", "limits": {"zone": {"one_of": ["UTC"]}}}]
    assert (odd.status_code, odd.json()["code"]) == (422, "unknown_tool")
    assert (bad.status_code, bad.json()["code"]) == (422, "limit_malformed")
    assert Entitlement.objects.count() == 1


def test_a_system_owner_makes_entitlements_of_her_system_only() -> None:
    mine, other = make.system("time"), make.system("git")
    make.tool(other, "log")
    make.tool(mine, "now")
    assert mine.owner
    sam = client.of(mine.owner)

    def body(slug: str, tool: str) -> dict[str, Any]:
        return {"system": slug, "scope": f"{slug}:x", "name": "X", "lines": [{"tool": tool}]}

    assert sam.post("/api/v1/entitlements", body("time", "now")).status_code == 201
    assert sam.post("/api/v1/entitlements", body("git", "log")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_revocation_answers_with_the_published_receipt() -> None:
    grant, ana = make.grant(), client.of(make.analyst())

    answer = ana.post(
        "/api/v1/revocations", {"target": {"type": "grant", "id": str(grant.pk)}, "reason": "leak", "wait": True}
    )

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) >= {"id", "position", "committed_at", "acknowledged", "missing", "residual", "receipt"}
    assert body["position"] > 0
    assert body["receipt"].count(".") == 2
    assert ana.get(f"/api/v1/revocations/{body['id']}").json() == body
    assert Grant.objects.get(pk=grant.pk).state == "revoked"


@pytest.mark.django_db(transaction=True)
def test_who_may_stop_what_is_the_same_by_revocation_as_by_its_own_address() -> None:
    grant = make.grant()
    system = grant.entitlement.system
    assert system.owner
    sam, mallory, audrey = client.of(system.owner), client.of(make.person()), client.of(make.person(roles=["auditor"]))

    def stop(kind: str, key: object) -> dict[str, Any]:
        return {"target": {"type": kind, "id": str(key)}, "reason": "x"}

    assert mallory.post("/api/v1/revocations", stop("grant", grant.pk)).status_code == 404
    assert audrey.post("/api/v1/revocations", stop("grant", grant.pk)).status_code == 403
    assert mallory.post("/api/v1/revocations", stop("everything", "")).status_code == 403
    assert sam.post("/api/v1/revocations", stop("agent", grant.agent.slug)).status_code == 404
    assert sam.post("/api/v1/revocations", stop("grant", "no-uuid")).status_code == 404
    assert sam.post("/api/v1/revocations", stop("planet", "x")).status_code == 400
    assert sam.post("/api/v1/revocations", stop("system", system.slug)).status_code == 201
    assert System.objects.get(pk=system.pk).status == "disabled"


def test_the_record_of_a_thing_is_read_in_order_by_whoever_may() -> None:
    grant, ana = make.grant(), client.of(make.analyst("ana"))
    ana.post(f"/api/v1/grants/{grant.pk}/revoke", {"reason": "leak"})

    answer = ana.get(f"/api/v1/audit-events?about=grant:{grant.pk}")

    events = answer.json()["results"]
    assert [event["action"] for event in events] == [Action.GRANT_ISSUED, Action.GRANT_REVOKED]
    assert set(events[1]) >= {"uuid", "index", "at", "action", "outcome", "actor", "trace", "links", "reason", "detail"}
    assert (events[1]["actor"], events[1]["reason"], events[1]["index"]) == ("person:ana", "leak", None)


def test_the_record_is_paged_and_filtered() -> None:
    ana = client.of(make.analyst())
    for _ in range(3):
        make.agent()
    address = "/api/v1/audit-events?action=agent.registered&limit=2"

    first = ana.get(address).json()
    second = ana.get(f"{address}&cursor={first['next']}").json()

    assert (len(first["results"]), len(second["results"]), second["next"]) == (2, 1, None)
    assert len({event["uuid"] for event in [*first["results"], *second["results"]]}) == 3
    assert first["results"][0]["at"] > second["results"][0]["at"]


def test_others_read_only_the_record_of_what_is_theirs() -> None:
    mine, other = make.grant(), make.grant()
    sponsor, system = mine.agent.sponsor, other.entitlement.system
    reader = client.of(sponsor)

    def status(about: str) -> int:
        return int(reader.get(f"/api/v1/audit-events?about={about}").status_code)

    assert status(f"grant:{mine.pk}") == 200
    assert status(f"agent:{mine.agent.slug}") == 200
    assert status(f"person:{sponsor.login}") == 200
    assert status(f"grant:{other.pk}") == 404
    assert status(f"system:{system.slug}") == 404
    assert status("trace:4bf92f3577b34da6a3ce929d0e0e4736") == 404
    assert reader.get("/api/v1/audit-events").status_code == 403


def test_the_export_records_who_takes_a_copy() -> None:
    audrey = client.of(make.person("audrey", roles=[Role.AUDITOR]))

    answer = audrey.get("/api/v1/audit/export?from=0")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == b""  # type: ignore[attr-defined]

    assert timeline.of("person", "audrey").last().action == Action.AUDIT_LOG_EXPORTED  # type: ignore[union-attr]
    assert audrey.get("/api/v1/audit/export?from=yesterday").json()["code"] == "range_malformed"
    assert audrey.get("/api/v1/audit/checkpoint").json()["code"] == "no_checkpoint"
    assert audrey.get("/api/v1/audit/proofs/0").json()["code"] == "proof_not_available"
    assert client.of(make.person()).get("/api/v1/audit/export").status_code == 403


def test_keys_are_shown_by_their_public_halves_and_rotated_by_admins() -> None:
    admin, ana = client.proven(make.person(roles=[Role.ADMIN])), client.of(make.analyst())

    assert ana.post("/api/v1/keys/rotate", {"issuer": "idp"}).status_code == 403
    assert admin.post("/api/v1/keys/rotate", {"issuer": "as/nothing"}).status_code == 404
    made = admin.post("/api/v1/keys/rotate", {"issuer": "idp"})
    withdrawn = admin.post(f"/api/v1/keys/{made.json()['kid']}/withdraw", {"reason": "drill"})

    assert made.json()["state"] == "next"
    assert withdrawn.json()["state"] == "withdrawn"
    listed = ana.get("/api/v1/keys").json()["results"]
    assert all("d" not in key["public"] for key in listed)
    assert [key["pem"] for key in listed] == [signing.public_pem(key["kid"]).decode() for key in listed]
    assert "PRIVATE" not in listed[0]["pem"]
    seals = admin.post("/api/v1/keys/rotate", {"issuer": "sessions", "now": True}).json()
    assert (seals["state"], seals["pem"], seals["public"].keys()) == ("active", "", {"kty", "use", "alg", "kid"})


def test_people_and_groups_are_registered_without_passwords_and_stopped_with_a_reason() -> None:
    admin = client.proven(make.person(roles=[Role.ADMIN]))

    made = admin.post("/api/v1/people", {"login": "alice", "name": "Alice", "email": "a@example.org"})
    group = admin.post("/api/v1/groups", {"slug": "sales", "name": "Sales", "people": ["alice"]})
    left = admin.post("/api/v1/groups/sales/leave", {"person": "alice", "reason": "moved"})
    gone = admin.post("/api/v1/people/alice/disable", {"reason": "left"})

    assert (made.status_code, made.json()["roles"]) == (201, [])
    assert (group.status_code, group.json()["people"]) == (201, ["alice"])
    assert left.json()["people"] == []
    assert gone.json()["is_active"] is False
    assert admin.post("/api/v1/people/alice/disable", {}).json()["code"] == "invalid"
    assert admin.post("/api/v1/groups", {"slug": "sales", "name": "Again"}).json()["code"] == "group_taken"
    assert "password" not in made.content.decode()
