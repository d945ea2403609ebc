"""A command is proposed by one person and confirmed by another; systems are started by it until one person ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.models import Event
from entitlements.catalog import discovery, errors, systems
from entitlements.catalog.models import System, Tool
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.feed.models import Change
from entitlements.people.models import Person, Role
from entitlements.stdio.sandbox.plan import Limits
from entitlements.stdio_commands import proposals, terms
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.stdio_commands.models import StdioCommand, StdioSystem
from entitlements.upstream import egress
from tests import make, snapshots
from tests.entitlements.api import client as api
from tests.entitlements.stdio import packages


@dataclass
class Company:
    """Who may propose, confirm and end."""

    analyst: Person = field(default_factory=make.analyst)
    security: Person = field(default_factory=make.security)
    admin: Person = field(default_factory=lambda: make.person(roles=[Role.ADMIN]))
    second_admin: Person = field(default_factory=lambda: make.person(roles=[Role.ADMIN]))
    alice: Person = field(default_factory=make.person)


@snapshots.restored
def make_company() -> Company:
    return Company()


@pytest.fixture
def company(db: None) -> Company:  # noqa: ARG001 - it writes
    return make_company()


@pytest.fixture
def folder() -> Iterator[Path]:
    with packages.small() as made:
        yield made


def propose(by: Person, folder: Path, **others: object) -> StdioCommand:
    given = packages.agreed(folder) | others
    return proposals.propose("small", by=by, reason="the team's tools", **given)


def in_force(company: Company, folder: Path, **others: object) -> StdioCommand:
    return proposals.KIND.confirm(propose(company.analyst, folder, **others).pk, by=company.security)


def actions() -> list[str]:
    return list(
        Event.objects.filter(action__startswith="stdio_command.").order_by("sequence").values_list("action", flat=True)
    )


def test_a_command_is_in_force_once_a_second_person_confirmed_it(company: Company, folder: Path) -> None:
    row = propose(company.analyst, folder)
    assert row.state == "proposed"
    with pytest.raises(Forbidden):
        proposals.KIND.confirm(row.pk, by=company.alice)
    with pytest.raises(proposals.AdminRoleNeeded):
        proposals.KIND.confirm(row.pk, by=company.analyst)
    assert proposals.KIND.confirm(row.pk, by=company.security).state == "in_force"
    assert actions() == ["stdio_command.proposed", "stdio_command.allowed"]
    with pytest.raises(proposals.KIND.over):
        proposals.KIND.confirm(row.pk, by=company.security)


def test_nobody_confirms_their_own(company: Company, folder: Path) -> None:
    row = propose(company.security, folder)
    with pytest.raises(proposals.KIND.proposed_by_own_account):
        proposals.KIND.confirm(row.pk, by=company.security)
    with pytest.raises(IntegrityError), transaction.atomic():
        StdioCommand.objects.filter(pk=row.pk).update(
            state="in_force", confirmed_by=company.security, confirmed_at=row.proposed_at
        )


def test_who_may_and_why(company: Company, folder: Path) -> None:
    with pytest.raises(Forbidden):
        propose(company.alice, folder)
    with pytest.raises(ReasonRequired):
        proposals.propose("small", by=company.analyst, reason=" ", **packages.agreed(folder))
    row = propose(company.analyst, folder)
    with pytest.raises(proposals.KIND.proposed_already):
        propose(company.security, folder)
    with pytest.raises(ReasonRequired):
        proposals.KIND.withdraw(row.pk, by=company.analyst, reason="")
    assert proposals.KIND.withdraw(row.pk, by=company.analyst, reason="not now").state == "withdrawn"
    assert actions() == ["stdio_command.proposed", "stdio_command.withdrawn"]


def test_running_without_a_layer_takes_two_administrators(company: Company, folder: Path) -> None:
    with pytest.raises(proposals.SandboxForAdmins):
        propose(company.security, folder, without=["signals"])
    row = propose(company.admin, folder, without=["signals"])
    with pytest.raises(proposals.SandboxForAdmins):
        proposals.KIND.confirm(row.pk, by=company.security)
    assert proposals.KIND.confirm(row.pk, by=company.second_admin).terms["without"] == ["signals"]


def test_without_a_digest_the_files_here_are_pinned(company: Company, folder: Path) -> None:
    expected = packages.agreed(folder)["digest"]
    assert propose(company.analyst, folder, digest="").terms["digest"] == expected
    with pytest.raises(proposals.FilesRefused):
        proposals.propose("other", by=company.analyst, reason="x", folder="/none", argv=packages.ARGV)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("argv", []),
        ("argv", ["python3"]),
        ("argv", ["/tmp/python3"]),  # noqa: S108 - an address
        ("argv", ["/usr/bin/python3", "a\nb"]),
        ("env", {"LD_PRELOAD": "x"}),
        ("env", {"PATH": "/tmp"}),  # noqa: S108 - as above
        ("env", {"small": "x"}),
        ("ports", [0]),
        ("ports", [70_000]),
        ("without", ["everything"]),
        ("limits", {"speed": 1}),
        ("limits", {"memory": 0}),
        ("limits", {"memory": -1}),
        ("limits", {"memory": True}),
        ("limits", {"processes": 1.5}),
        ("limits", {"processes": 100_000}),
        ("limits", {"grace_seconds": 60}),
    ],
)
def test_what_cannot_be_agreed_on(field: str, value: object) -> None:
    given = {"folder": "/opt/small", "argv": packages.ARGV, field: value}
    with pytest.raises(terms.CommandMalformed) as refused:
        terms.whole(given)
    assert refused.value.detail["field"] == field


def test_terms_are_whole(folder: Path) -> None:
    whole = terms.whole(packages.agreed(folder))
    assert set(whole) == set(terms.TERMS)
    assert Limits(**whole["limits"]).grace_seconds == 0.3


def test_a_system_is_started_by_a_command_in_force(company: Company, folder: Path) -> None:
    asked = {"slug": "clock", "name": "Clock", "kind": "stdio", "command": "small", "args": ["second"]}
    by = api.of(company.analyst)
    answer = by.post("/api/v1/systems", asked, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "stdio_command_unknown")
    in_force(company, folder)
    answer = by.post("/api/v1/systems", asked, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (201, "stdio")
    started = StdioSystem.objects.get(system__slug="clock")
    assert (started.command, started.arguments) == ("small", ["second"])

    found = by.post("/api/v1/systems/clock/discover", {}, format="json")
    assert found.json()["added"] == ["echo", "again"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"upstream_url": "https://clock.example/mcp"},
        {"issuer": "https://clock.example"},
        {"command": None},
        {"kind": "mcp_gateway", "upstream_url": "https://clock.example/mcp"},
        {"kind": "known"},
    ],
)
def test_fields_go_with_their_kind(company: Company, wrong: dict[str, Any]) -> None:
    asked = {"slug": "clock", "name": "Clock", "kind": "stdio", "command": "small", "args": []} | wrong
    asked = {name: value for name, value in asked.items() if value is not None}
    answer = api.of(company.analyst).post("/api/v1/systems", asked, format="json")
    assert answer.status_code == 400, answer.json()
    assert not System.objects.filter(slug="clock").exists()


def test_a_local_server_has_no_address_to_change(company: Company, folder: Path) -> None:
    in_force(company, folder)
    system = stdio_systems.register(
        "clock", name="Clock", owner=company.alice, command="small", args=[], by=company.analyst.principal
    )
    with pytest.raises(errors.SystemMalformed):
        systems.edit_system(system, by=company.analyst.principal, upstream_url="https://clock.example", reason="x")


def test_new_files_are_a_new_proposal_and_drift_as_usual(company: Company, folder: Path) -> None:
    in_force(company, folder)
    system = stdio_systems.register(
        "clock", name="Clock", owner=company.alice, command="small", args=[], by=company.analyst.principal
    )
    listed = asyncio.run(stdio_systems.discover(system))
    discovery.record_discovery(system, listed, by=company.analyst.principal)
    server = folder / "server.py"
    server.write_text(server.read_text().replace("Say it again.", "Say it louder."))
    with pytest.raises(egress.Unreachable) as refused:
        asyncio.run(stdio_systems.discover(system))
    assert "PackageRefused" in str(refused.value.detail["problem"])

    before = Change.objects.count()
    newer = in_force(company, folder)
    assert Change.objects.count() > before
    assert StdioSystem.objects.get(system=system).terms == newer.terms
    assert list(StdioCommand.objects.values_list("state", flat=True).order_by("proposed_at")) == [
        "replaced",
        "in_force",
    ]
    listed = asyncio.run(stdio_systems.discover(system))
    assert discovery.record_discovery(system, listed, by=company.analyst.principal).changed == ["echo", "again"]
    assert Tool.objects.get(system=system, name="echo").seen.definition["description"] == "Say it louder."  # type: ignore[union-attr]
    with pytest.raises(proposals.KIND.unchanged):
        propose(company.analyst, folder)


def test_one_person_ends_a_command_at_once(company: Company, folder: Path) -> None:
    row = in_force(company, folder)
    system = stdio_systems.register(
        "clock", name="Clock", owner=company.alice, command="small", args=[], by=company.analyst.principal
    )
    before = Change.objects.count()
    assert proposals.KIND.end(row.pk, by=company.security, reason="it is broken").state == "ended"
    assert Change.objects.count() > before
    assert StdioSystem.objects.get(system=system).terms is None
    with pytest.raises(egress.Unreachable, match="not in force"):
        asyncio.run(stdio_systems.discover(system))
    assert actions()[-1] == "stdio_command.ended"


def test_the_whole_life_over_rest(company: Company, folder: Path) -> None:
    terms = {name: value for name, value in packages.agreed(folder).items() if name != "digest"}
    asked = {"name": "small", "reason": "tools", **terms, "sha256": ""}
    made = api.proven(company.admin).post("/api/v1/stdio-commands", asked, format="json")
    assert made.status_code == 201, made.json()
    key = made.json()["id"]
    assert made.json()["limits"]["processes"] == 32
    own = api.proven(company.admin).post(f"/api/v1/stdio-commands/{key}/confirm")
    assert own.json()["code"] == "stdio_command_proposed_by_own_account"
    confirmed = api.proven(company.security).post(f"/api/v1/stdio-commands/{key}/confirm")
    assert confirmed.json()["state"] == "in_force", confirmed.json()
    assert api.of(company.admin).get("/api/v1/stdio-commands").json()["results"][0]["confirmed_by"]
    assert api.of(company.alice).get(f"/api/v1/stdio-commands/{key}").status_code in {403, 404}
    ended = api.of(company.security).post(f"/api/v1/stdio-commands/{key}/end", {"reason": "over"}, format="json")
    assert ended.json()["state"] == "ended"
