"""Each form of file becomes the same sightings; a bad row stays out alone, and nothing secret comes in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from entitlements.agent_discovery import sightings
from entitlements.agent_discovery.sightings import Source
from governance.onboarding import files


def test_a_table_names_agents_systems_tools_and_people() -> None:
    found = files.read(
        b"Agent;Owner;System;Tools;User;Last used\n"
        b"Mail helper;olga;mail;search,read;alice;2026-11-01T08:00:00Z\n"
        b";;mail;search;bob;\n"
    )
    assert found.source is Source.TABLE
    (one,) = found.sightings
    assert (one.row, one.agent, one.sponsor, one.system, one.tools) == (
        2,
        "Mail helper",
        "olga",
        "mail",
        ("search", "read"),
    )
    assert (one.person, one.last_used) == ("alice", datetime(2026, 11, 1, 8, tzinfo=UTC))
    assert [(problem.row, problem.code) for problem in found.problems] == [(3, "agent_not_named")]


def test_a_client_configuration_gives_systems_without_tools_and_without_secrets() -> None:
    config = b"""{"mcpServers": {
        "Mail": {"url": "https://mail.example/mcp?key=s3cret", "headers": {"x": "s3cret"}}, // own
    }}"""
    found = files.read(config, agent="Desk helper")
    assert [(each.agent, each.system, each.address, each.tools) for each in found.sightings] == [
        ("Desk helper", "mail", "https://mail.example/mcp", ())
    ]
    assert "s3cret" not in repr(found)
    with pytest.raises(files.AgentNotNamed):
        files.read(config)


OKTA = [
    {
        "label": "Mail helper",
        "credentials": {"oauthClient": {"client_id": "0oa1"}},
        "users": [{"credentials": {"userName": "alice@example.org"}}, {"credentials": {"userName": "bob@example.org"}}],
        "groups": [{"profile": {"name": "Sales"}}],
    }
]
ENTRA = {
    "value": [
        {"resourceDisplayName": "Mail helper", "principalType": "User", "principalDisplayName": "alice"},
        {"resourceDisplayName": "Mail helper", "principalType": "Group", "principalDisplayName": "Sales"},
    ]
}


@pytest.mark.parametrize(
    ("export", "people"), [(OKTA, {"alice@example.org", "bob@example.org"}), (ENTRA, {"alice"})], ids=["okta", "entra"]
)
def test_applications_of_a_provider_are_agents_with_people_and_groups(export: object, people: set[str]) -> None:
    found = files.read(json.dumps(export).encode())
    assert found.source is Source.PROVIDER
    assert {each.agent for each in found.sightings} == {"Mail helper"}
    assert {each.person for each in found.sightings} - {""} == people
    assert {each.group for each in found.sightings} - {""} == {"Sales"}


def test_a_log_of_calls_is_counted_by_agent_system_and_person() -> None:
    calls = [
        {
            "client_id": "mail",
            "server": "mail",
            "tool": "search",
            "user": "alice",
            "ts": 1_760_000_000,
            "token": "s3cret",
        },
        {"client_id": "mail", "server": "mail", "tool": "send", "user": "alice", "ts": 1_760_000_100},
        {"client_id": "mail", "server": "mail", "tool": "send", "user": "bob"},
    ]
    lines = [json.dumps(call) for call in calls]
    found = files.read("\n".join([*lines, "{broken", '{"tool": "x"}']).encode())
    assert found.source is Source.LOG
    assert [(each.row, each.person, each.tools, each.calls) for each in found.sightings] == [
        (1, "alice", ("search", "send"), 2),
        (3, "bob", ("send",), 1),
    ]
    assert [(problem.row, problem.code) for problem in found.problems] == [(4, "row_not_json"), (5, "row_malformed")]
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("content", [b"", b"name,value\n1,2\n", b"[1, 2]", b"\xff\xfe,agent", b'{"a": 1}'])
def test_what_is_none_of_these_is_refused(content: bytes) -> None:
    with pytest.raises(files.NotReadable):
        files.read(content, agent="x")


def test_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MOST_ROWS", 2)
    with pytest.raises(sightings.TooMuch):
        files.read(b"agent\n1\n2\n3\n")
    with pytest.raises(sightings.TooMuch):
        files.read(b"x" * (files.LARGEST + 1))


@pytest.mark.parametrize(
    "said", ["0001-01-01T00:00:00+14:00", "1999-12-31", "2000-01-01T23:59:00Z", "9999-12-31T23:59:59-14:00", "never"]
)
def test_a_moment_that_cannot_be_is_none(said: str) -> None:
    (one,) = files.read(f"agent,system,last_used\nDesk,clock,{said}\n".encode()).sightings
    assert one.last_used is None
