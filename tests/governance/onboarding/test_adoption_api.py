"""Adoption and the coverage map by REST: each step by who may, and a time that nobody knows is null."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db

TABLE = "agent,client_id,owner,system,tools,person\nDesk helper,desk-1,mona,clock,now wipe,alice\n"


made_world, company = shared.world(companies.found)


def post(who: Any, path: str, /, **body: object) -> Any:  # noqa: ANN401 - a client and its answer
    return client.of(who).post(f"/api/v1/{path}", body, format="json")


def adopted(company: Company) -> str:
    batch: str = post(company.ana, "onboarding-batches", text=TABLE).json()["id"]
    assert post(company.ana, f"onboarding-batches/{batch}/ask", reason="Day 30.").json()["state"] == "asked"
    assert post(company.mona, f"onboarding-batches/{batch}/answer", accept=True).status_code == 200
    assert post(company.ana, f"onboarding-batches/{batch}/confirm", reason="yes").json()["grants"] == 1
    return batch


def test_a_file_goes_from_looking_to_adopted_and_back(company: Company) -> None:
    sent = post(company.ana, "onboarding-batches", text=TABLE, file_name="access.csv")
    assert (sent.status_code, sent.json()["state"], sent.json()["lines_read"]) == (201, "preview", 1)
    path = f"onboarding-batches/{sent.json()['id']}"
    (row,) = client.of(company.ana).get(f"/api/v1/{path}/agents").json()["results"]
    (piece,) = row["grants"]
    assert (piece["entitlement"], piece["tools"], piece["people"], piece["groups"]) == ("clock:use", ["now"], 1, 0)
    assert (piece["logins"], piece["group_slugs"]) == (["alice"], [])
    assert [(left["code"], left["tool"]) for left in row["left"]] == [("too_risky", "wipe")]
    assert post(company.ana, f"{path}/confirm", reason="x").json()["code"] == "onboarding_nothing_accepted"
    asked = post(company.ana, f"{path}/ask", each=[{"id": row["id"], "sponsor": "sam"}], reason="Day 30.")
    assert asked.json()["state"] == "asked"
    assert post(company.mona, f"{path}/answer", accept=True).status_code == 404  # she is not asked, so does not see it
    assert post(company.ana, f"{path}/answer", accept=True).json()["code"] == "onboarding_not_asked"
    assert [each["sponsor"] for each in client.of(company.sam).get(f"/api/v1/{path}/agents").json()["results"]] == [
        "sam"
    ]
    assert post(company.sam, f"{path}/answer", accept=True).status_code == 200
    assert post(company.ana, f"{path}/confirm", reason="yes").json() == {"agents": 1, "grants": 1, "refused": {}}
    assert post(company.ana, "agents/desk-helper/cut-over", system="clock", reason="New address.").status_code == 200
    assert post(company.ana, "agents/desk-helper/onboarding-undo", reason="Broken.").json()["status"] == "suspended"


@pytest.mark.parametrize("login", ["sofia", "otto", "resa", "mallory"])
def test_only_analysts_bring_files_and_say_yes(company: Company, login: str) -> None:
    batch = adopted(company)
    who = company.named(login)
    assert post(who, "onboarding-batches", text=TABLE).status_code == 403
    assert post(who, "agents/desk-helper/cut-over", reason="x").status_code == 403
    assert post(who, f"onboarding-batches/{batch}/confirm", reason="x").status_code in (403, 404)


def test_what_was_seen_is_matched_or_blocked(company: Company) -> None:
    text = '{"mcpServers": {"clock": {"url": "https://clock.example/mcp"}}}'
    assert post(company.ana, "onboarding-batches", text=text).json()["code"] == "onboarding_agent_not_named"
    assert post(company.ana, "onboarding-batches", text=text, agent="Shadow").status_code == 201
    (seen,) = client.of(company.ana).get("/api/v1/unmanaged-agents?state=unmatched").json()["results"]
    assert client.of(company.mallory).get("/api/v1/unmanaged-agents").status_code == 403
    blocked = post(company.resa, f"unmanaged-agents/{seen['id']}/block", reason="Not allowed.")
    assert (blocked.json()["state"], blocked.json()["decided_by"]) == ("blocked", "person:resa")
    body = {"client_id": "shadow", "agent": "research-bot", "auth": "none"}
    refused = client.proven(company.ana).post("/api/v1/clients", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "client_blocked")
    own = post(company.resa, f"unmanaged-agents/{seen['id']}/unblock", reason="x")
    assert own.json()["code"] == "second_person_required"
    assert post(company.ana, f"unmanaged-agents/{seen['id']}/unblock", reason="x").json()["state"] == "unmatched"
    matched = post(company.ana, f"unmanaged-agents/{seen['id']}/match", agent="research-bot", reason="x").json()
    assert (matched["state"], matched["agent"]) == ("matched", "research-bot")


def test_the_map_says_each_path_and_never_a_time_that_nobody_knows(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    vendor = make.system("vendor", kind="mcp")
    make.grant(make.agent("other-bot"), make.entitlement(vendor))
    lines = [{"client": "Shadow", "server": "clock", "tool": "now", "user": "bob", "ts": "2026-11-20T10:00:00Z"}]
    post(company.ana, "onboarding-batches", text="\n".join(map(json.dumps, lines)))
    rows = client.of(company.ana).get("/api/v1/coverage-map").json()["results"]
    said = {row["agent"] or row["seen_as"]: row for row in rows}
    assert {name: (row["path"], row["usage_grade"]) for name, row in said.items()} == {
        "research-bot": ("gateway", "A"),
        "other-bot": ("native", "B"),
        "Shadow": ("known", "C"),
    }
    assert (said["research-bot"]["token_seconds"], said["research-bot"]["stop_seconds"]) == (300, 2)
    for name in ("other-bot", "Shadow"):
        assert (said[name]["token_basis"], said[name]["token_seconds"], said[name]["stop_seconds"]) == (
            "unknown",
            None,
            None,
        )
    whole = client.of(company.ana).get("/api/v1/coverage-map/summary").json()
    assert (whole["agents"], whole["visible_per_call"], whole["percent"]) == (3, 1, 33)
    assert {(each["system"], each["what"], each["governed"], each["known"]) for each in whole["findings"]} == {
        ("clock", "token_seconds", 300, None),
        ("clock", "session_seconds", 43200, None),
        ("clock", "stop_seconds", 2, None),
    }
    mine = client.of(company.sofia).get("/api/v1/coverage-map").json()["results"]
    assert [row["agent"] for row in mine] == ["research-bot"]
    assert client.of(company.sofia).get("/api/v1/coverage-map/summary").json()["percent"] == 100
    assert [
        row["seen_as"] for row in client.of(company.ana).get("/api/v1/coverage-map?path=known").json()["results"]
    ] == ["Shadow"]


def test_whoever_answers_for_a_system_says_what_holds_on_its_paths(company: Company) -> None:
    path = "systems/clock/paths"
    said = {"path": "known", "token_basis": "declared", "token_seconds": 3600, "reason": "The vendor says so."}
    assert post(company.mallory, path, **said).status_code in (403, 404)
    assert post(company.sam, path, **said).json()["token_seconds"] == 3600
    unknown = {"path": "known", "token_basis": "unknown", "token_seconds": 60, "reason": "x"}
    assert post(company.sam, path, **unknown).status_code == 400
    assert post(company.sam, path, path="gateway", token_seconds=9, reason="x").json()["code"] == "path_is_ours"
    tested = post(company.ana, path, path="gateway", bypass="tested", reason="Closed in the firewall; tried.")
    assert tested.json()["bypass"] == "tested"


def test_a_workflow_that_is_used_past_us_after_the_move_is_a_finding(company: Company) -> None:
    adopted(company)
    post(company.ana, "agents/desk-helper/cut-over", reason="Moved.")
    row = Workflow.objects.get(agent=Agent.objects.get(slug="desk-helper"))
    row.last_used_at = row.changed_at.replace(year=row.changed_at.year + 1)
    row.save()
    found = client.of(company.ana).get("/api/v1/coverage-map/summary").json()["findings"]
    assert [(each["what"], each["agents"]) for each in found] == [("still_used", ["desk-helper"])]
    assert UnmanagedAgent.objects.get().state == "matched"


def test_what_the_gateway_does_not_serve_counts_as_unseen_and_is_not_moved(company: Company) -> None:
    for slug in ("files", "clock-app"):
        system = make.system(slug, kind="known")
        make.grant(make.agent(f"{slug}-bot"), make.entitlement(system))
    rows = client.of(company.ana).get("/api/v1/coverage-map").json()["results"]
    assert {(row["path"], row["usage_grade"]) for row in rows} == {("known", "C")}
    assert client.of(company.ana).get("/api/v1/coverage-map/summary").json()["percent"] == 0
    bot, files = make.agent("moving-bot"), System.objects.get(slug="files")
    seen = {"origin": "seen", "state": "adopted", "adopted_from": uuid4(), "changed_at": clock.now()}
    Workflow.objects.create(agent=bot, system=files, **seen)
    refused = post(company.ana, "agents/moving-bot/cut-over", reason="The address is set.")
    assert (refused.status_code, refused.json()["code"]) == (409, "onboarding_no_governed_path")
