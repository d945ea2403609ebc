"""The page of commands: proposed in a form, confirmed by another, with what changes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from audit import clock
from entitlements.catalog.models import System
from entitlements.feed.models import GatewayNode
from entitlements.people.models import Role
from entitlements.stdio.models import StdioNode
from entitlements.stdio.sandbox.plan import Level
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioCommand, StdioSystem
from tests import make
from tests.entitlements.stdio import packages
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE = "/settings/local-servers/"


@pytest.fixture
def folder() -> Iterator[Path]:
    with packages.small() as made:
        yield made


def form(folder: Path, **others: str) -> dict[str, str]:
    usual = {"name": "small", "folder": str(folder), "argv": "\n".join(packages.ARGV), "env": "KIND = test"}
    return {**usual, "ports": "", "limits": "processes = 8", "reason": "The team's tools.", **others}


def test_a_command_is_proposed_in_the_form_and_confirmed_by_another(folder: Path) -> None:
    ana, ada = make.analyst("ana"), make.person("ada", roles=[Role.ADMIN])
    answer = visits.as_(ana).post(f"{PAGE}propose/", form(folder))
    assert answer.status_code == 302, visits.text(answer)
    row = StdioCommand.objects.get()
    assert (row.terms["argv"], row.terms["env"], row.terms["limits"]["processes"]) == (
        packages.ARGV,
        {"KIND": "test"},
        8,
    )

    page = visits.text(visits.as_(ana).get(PAGE))
    assert 'value="confirm"' not in page
    assert 'value="withdraw"' in page
    page = visits.text(visits.as_(ada).get(PAGE))
    assert row.terms["digest"] in page
    assert "processes = 8" in page
    assert visits.as_(ada).post(f"{PAGE}{row.pk}/", {"verb": "confirm"}).headers["Location"] == PAGE
    page = visits.text(visits.as_(ana).get(PAGE))
    assert "Proposed by Ana, confirmed by Ada." in page

    page = visits.text(visits.as_(ana).get(f"{PAGE}propose/?of=small"))
    assert "processes = 8" in page
    assert row.terms["digest"] not in page
    assert visits.as_(ana).post(f"{PAGE}propose/", form(folder, ports="443")).status_code == 302
    assert "<del>none</del> <ins>443</ins>" in visits.text(visits.as_(ada).get(PAGE))

    security = make.security("sam")
    visits.as_(security).post(f"{PAGE}{row.pk}/", {"verb": "end", "reason": "over"})
    row.refresh_from_db()
    assert row.state == "ended"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"argv": "python3"}, "stdio_command_malformed"),
        ({"argv": ""}, "required"),
        ({"ports": "https"}, "Write numbers."),
        ({"limits": "memory = much"}, "Write numbers."),
        ({"folder": "/none"}, "stdio_command_files_refused"),
        ({"without": "signals"}, "stdio_command_sandbox_needs_admins"),
        ({"digest": "abc"}, "invalid"),
    ],
)
def test_what_cannot_be_proposed_is_said_at_its_field(folder: Path, changed: dict[str, str], words: str) -> None:
    page = visits.as_(make.analyst("ana")).post(f"{PAGE}propose/", form(folder) | changed)
    assert page.status_code == 422, page.status_code
    assert words in visits.text(page)
    assert not StdioCommand.objects.exists()


def test_a_local_server_is_registered_by_a_command_in_force(folder: Path) -> None:
    ana, add = make.analyst("ana"), "/systems/add/local-server/"
    assert "No command is in force." in visits.text(visits.as_(ana).get(add))
    given = terms.whole(packages.agreed(folder, shared=True))
    row = StdioCommand.objects.create(
        name="small", terms=given, reason="x", proposed_by=ana, proposed_at=clock.now(), state="in_force",
        confirmed_by=make.security("sam"), confirmed_at=clock.now(),
    )  # fmt: skip
    new = {"command": "small", "args": "--utc", "sharing": "own", "name": "Small clock", "owner": "ana"}
    answer = visits.as_(ana).post(add, new)
    assert answer.headers["Location"] == "/systems/small-clock/", visits.text(answer)
    made = StdioSystem.objects.get(system__slug="small-clock")
    assert (made.command, made.arguments, made.is_shared) == ("small", ["--utc"], False)
    assert "Each agent and person has a process of their own." in visits.text(
        visits.as_(ana).get("/systems/small-clock/")
    )
    row.terms = given | {"shared": False}
    row.save()
    refused = visits.as_(ana).post(add, new | {"sharing": "shared", "slug": "other"})
    assert "stdio_command_malformed" in visits.text(refused)


def test_the_page_says_how_each_node_holds_local_servers() -> None:
    for node, level in (("node-1", Level.BUBBLEWRAP), ("node-2", Level.FLOOR), ("gone", Level.FLOOR)):
        polled = clock.now() - timedelta(hours=node == "gone")
        GatewayNode.objects.create(id=node, started_at=polled, polled_at=polled)
        StdioNode.objects.create(node=node, run=uuid.uuid4(), address="http://localhost:1", level=level, said_at=polled)
    page = visits.text(visits.as_(make.analyst("ana")).get(PAGE))
    assert "in namespaces of bubblewrap" in page
    assert "node-2" in page
    assert "gone" not in page


def test_its_owner_sees_why_a_local_server_does_not_start_and_others_do_not() -> None:
    olga, hostile = make.person("olga"), "<script>alert(1)</script> no module named clock"
    system = make.system("clock", kind=System.Kind.STDIO, owner=olga, upstream_url="stdio:clock")
    StdioSystem.objects.create(
        system=system, command="clock", arguments=["--utc"], problem="exit 1", stderr=hostile, failed_at=clock.now()
    )
    page = visits.text(visits.as_(olga).get("/systems/clock/"))
    assert "--utc" in page
    assert "no module named clock" in page
    assert "<script>alert(1)" not in page
    other = visits.as_(make.agent("bot").sponsor).get("/systems/clock/")
    assert other.status_code == 200
    assert "no module named clock" not in visits.text(other)
