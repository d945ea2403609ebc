"""The page of commands: proposed in a form, confirmed by another, with what changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit import clock
from entitlements.catalog.models import System
from entitlements.people.models import Role
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
