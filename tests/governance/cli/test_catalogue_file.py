"""The catalogue in a file: read as JSON is, planned and applied by the command line against a real server."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from audit.context import SYSTEM
from entitlements.catalog.models import Tool
from entitlements.people import people
from governance.approval_policies.models import PolicyProposal
from governance.cli import catalogue, main
from governance.cli.exits import Ended
from governance.reviews.templates.models import CampaignTemplate
from governance.sod.models import SodPolicy
from scripts.demo.data import starter_packs
from tests import make
from tests.governance import companies
from tests.governance.cli.conftest import Run
from tests.governance.companies import Company

TEXT = """
# Kept in git.
systems:
  clock:
    tools:
      wipe: {disabled: true}
    entitlements:
      use:
        longest: P7D
        tools:
          now: {}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "catalogue.yaml"
    made.write_text(TEXT)
    return made


@pytest.mark.loopback
@pytest.mark.django_db(transaction=True)
def test_a_file_is_planned_read_and_applied(
    file: Path,
    live_server: LiveServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.CONSOLE_URL = live_server.url
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice])
    company.ana.set_password("correct horse battery staple")
    company.ana.save()
    monkeypatch.setenv("MANDATE_URL", live_server.url)
    monkeypatch.setenv("MANDATE_TOKEN", people.make_api_token(company.ana, "cli", by=SYSTEM))
    monkeypatch.setenv("MANDATE_PROOF", "correct horse battery staple")

    assert main.main(["catalog", "plan", str(file)]) == 0
    shown = capsys.readouterr().out
    *_, line, applied = shown.splitlines()
    assert (line.split()[0], applied.split()) == ("plan", ["applied", "no"])
    for lost in ("tool-disable", "research-bot", "alice", "convert, remove, wipe"):
        assert lost in shown
    apply = ["catalog", "apply", str(file), "--reason", "As it is in git.", "--plan"]
    assert main.main([*apply, "0" * 64]) == 4
    assert "plan_stale" in capsys.readouterr().err
    assert main.main([*apply, line.split()[1]]) == 0
    assert "applied  yes" in capsys.readouterr().out
    assert Tool.objects.get(name="wipe").state == "disabled"
    assert main.main(["catalog", "plan", str(file), "--json"]) == 0
    assert '"steps": []' in capsys.readouterr().out


@pytest.mark.loopback
@pytest.mark.django_db(transaction=True)
def test_each_starter_pack_is_proposed_by_the_addresses_of_hand_work_and_nothing_else_is(
    company: Company, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resa = make.person(roles=["security", "analyst"])
    resa.set_password("correct horse battery staple")
    resa.save()
    monkeypatch.setenv("MANDATE_PROOF", "correct horse battery staple")
    packs = sorted(starter_packs.FOLDER.glob("*.yaml"))
    for pack in packs:
        PolicyProposal.objects.all().delete()  # the default has one proposal at once
        bodies = [body for bodies in catalogue.read(pack).values() for body in bodies]
        asked = ("propose", str(pack), "--reason", "We begin.", "--first-on", "2027-01-04")
        ended, made, told = run(resa, *asked)
        assert (ended, len(made)) == (0, len(bodies)), (pack.name, told)
    assert len(packs) == 10
    assert {row.state for row in SodPolicy.objects.all()} == {"proposed"}, "nothing is in force alone"
    assert CampaignTemplate.objects.get(slug="all-access-half-yearly").next_on == date(2027, 1, 4)
    assert not CampaignTemplate.objects.get(slug="movers-by-hand").next_on
    assert run(company.alice, "propose", str(packs[1]), "--reason", "x")[0] == 1
    other = tmp_path / "other.yaml"
    for text in ("revocations: [{}]", "sod-policies: {}", "sod-policies: 7", "sod-policies: [x]"):
        other.write_text(text)
        assert "file_malformed" in run(resa, "propose", str(other), "--reason", "x")[2], text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: [1, -2, 0.5, true, null, ~, ]", {"a": [1, -2, 0.5, True, None, None]}),
        ("a: 2026-11-26", {"a": "2026-11-26"}),
        ("a: 0123", {"a": "0123"}),
        ("a: 1e9", {"a": "1e9"}),
        ("a: =1", {"a": "=1"}),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
    ],
)
def test_a_file_says_what_it_would_say_as_json(file: Path, text: str, value: object) -> None:
    file.write_text(text)
    assert catalogue.read(file) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: &x [1]\nb: *x",
        "a: !!python/object/apply:os.system [ls]",
        "a: !!python/name:os.system",
        "? [1, 2]\n: 3",
        "a: [",
        "- a",
        "",
        "a: b\n---\nc: d",
        "a: \x00",
        "[" * 10_000,
    ],
)
def test_a_file_that_says_two_things_or_runs_something_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(Ended) as ended:
        catalogue.read(file)
    assert ended.value.code == "file_malformed"


def test_a_file_is_there_and_of_a_size(file: Path, tmp_path: Path) -> None:
    file.write_text("#" * (1024 * 1024 + 1))
    for path, code in ((file, "file_too_large"), (tmp_path / "none", "file_unreadable")):
        with pytest.raises(Ended) as ended:
            catalogue.read(path)
        assert ended.value.code == code
