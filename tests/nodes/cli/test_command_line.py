"""`mandate` against a real server: what it prints for programs, how it ends, and what it never gives away."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog import systems
from entitlements.feed.models import GatewayNode
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.cli import main, operations
from tests import make
from tests.governance.cli.conftest import Run
from tests.governance.companies import Company
from tests.nodes.gateway import world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def edge(company: Company, settings: Settings) -> Iterator[None]:  # noqa: ARG001 - whose address the issuers bear
    """Run a node that issues tokens under the console's address, which hands it what comes there."""
    with world.gateway("node-cli", CONSOLE_URL=settings.CONSOLE_URL) as node:
        settings.RELAY_URL = node.base
        yield


def ask(run: Run, company: Company, person: str = "alice") -> dict[str, Any]:
    named = ["--agent", "research-bot", "--entitlement", "clock:use", "--person", person, "--tool", "now"]
    ended, (made,), _ = run(company.otto, "requests", "submit", *named, "--lasts", "PT8H", "--reason", "The report.")
    assert ended == 0
    return made


def test_access_is_asked_for_approved_listed_and_revoked_with_a_receipt(company: Company, run: Run) -> None:
    GatewayNode.objects.all().delete()
    made = ask(run, company)

    approve = ["requests", "approve", made["id"], "--lasts", "PT2H"]
    assert run(company.sofia, *approve)[0] == 2  # without the etag of what was read
    assert run(company.sofia, *approve, "--etag", '"99"')[0] == 4
    assert run(company.otto, *approve, "--etag", made["etag"])[0] == 1
    ended, (approved,), _ = run(company.sofia, *approve, "--etag", made["etag"])
    assert (ended, approved["state"], approved["lasts"]) == (0, "approved", "PT2H")

    ended, listed, _ = run(company.ana, "grants", "list", "--agent", "research-bot", "--state", "active")
    assert (ended, [each["id"] for each in listed]) == (0, [approved["grant"]])
    asked = ("revoke", f"grant:{approved['grant']}", "--wait", "--reason", "Filed.")
    assert "ticket_not_recognised" in run(company.ana, *asked, "--ticket", "SEC-1")[2]
    ended, (receipt,), _ = run(company.ana, *asked)
    assert (ended, receipt["missing"], bool(receipt["receipt"])) == (0, [], True)
    assert run(company.ana, "grants", "revoke", approved["grant"], "--reason", "Again.")[0] == 4
    assert run(company.ana, "grants", "show", approved["grant"])[1][0]["state"] == "revoked"
    _, events, _ = run(company.ana, "audit", "about", f"grant:{approved['grant']}")
    assert [each["action"] for each in events if each["action"].startswith("grant.")] == [
        "grant.issued",
        "grant.revoked",
    ]


def test_what_is_risky_is_approved_with_a_proof_from_the_environment(
    company: Company, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = company.ask("remove")
    approve = ["requests", "approve", str(asked.pk), "--etag", '"1"']
    ended, _, problem = run(company.sofia, *approve)
    assert (ended, json.loads(problem)["code"]) == (1, "reauthentication_required")
    company.sofia.set_password("correct horse battery staple")
    company.sofia.save()
    monkeypatch.setenv("MANDATE_PROOF", "correct horse battery staple")
    assert run(company.sofia, *approve)[0] == 0


def test_a_revocation_that_a_node_has_not_confirmed_does_not_end_as_done(company: Company, run: Run) -> None:
    made = make.grant(company.bot, company.use, people=[company.alice])
    GatewayNode.objects.create(id="silent", started_at=clock.now(), polled_at=clock.now())

    ended, (receipt,), _ = run(company.ana, "grants", "revoke", str(made.pk), "--wait", "--reason", "Incident.")

    assert (ended, [each["node"] for each in receipt["missing"]]) == (6, ["silent"])


def test_what_a_list_prints_is_what_many_answers_read(company: Company, run: Run) -> None:
    first, second = ask(run, company), ask(run, company, "bob")
    _, listed, _ = run(company.sofia, "requests", "list", "--waiting-for", "sofia")
    stale = [{**each, "etag": '"99"'} if each["id"] == first["id"] else each for each in listed]

    lines = "\n".join(map(json.dumps, stale))
    ended, results, _ = run(company.sofia, "requests", "approve", "--stdin", stdin=lines)

    assert (ended, {each["id"]: each["code"] for each in results}) == (6, {first["id"]: "stale", second["id"]: None})
    grants = "\n".join(json.dumps({"id": str(grant.pk)}) for grant in Grant.objects.all())
    ended, results, _ = run(company.ana, "grants", "revoke", "--stdin", "--reason", "Incident.", stdin=grants)
    assert (ended, [each["state"] for each in results]) == (0, ["revoked"])
    assert run(company.ana, "grants", "revoke", "--stdin", "--reason", "x", stdin="nonsense")[0] == 2


def test_what_was_asked_for_goes_on_or_is_withdrawn(company: Company, run: Run) -> None:
    held = make.grant(company.bot, company.use, people=[company.alice])
    renew = ["grants", "renew", str(held.pk), "--lasts", "P7D", "--reason", "Still needed."]
    ended, (asked,), _ = run(company.otto, *renew)
    assert (ended, asked["renews"]) == (0, str(held.pk))
    assert run(company.otto, *renew)[0] == 4
    _, waiting, _ = run(company.otto, "requests", "list", "--state", "in_approval")
    lines = "\n".join(map(json.dumps, waiting))
    ended, results, _ = run(company.otto, "requests", "cancel", "--stdin", "--reason", "Not now.", stdin=lines)
    assert (ended, [each["state"] for each in results]) == (0, ["cancelled"])
    many = json.dumps({"id": str(held.pk)})
    ended, results, _ = run(company.otto, *renew[:2], "--stdin", *renew[3:], stdin=f"{many}\n{many}")
    assert (ended, [each["code"] for each in results]) == (6, [None, "renewal_waits"])


def test_agents_are_stopped_and_lists_are_followed_page_by_page(
    company: Company, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.cli.server.MOST_ROWS", 2)
    for slug in ("bot-b", "bot-c", "bot-d"):
        make.agent(slug, sponsor=company.sofia)

    assert len(run(company.ana, "agents", "list")[1]) == 4
    assert len(run(company.ana, "agents", "list", "--limit", "3")[1]) == 3
    ended, results, _ = run(company.sofia, "agents", "suspend", "bot-b", "none-such", "--reason", "Odd.")
    assert (ended, [each["status"] for each in results]) == (6, [200, 404])
    assert Agent.objects.get(slug="bot-b").status == "suspended"


@pytest.mark.usefixtures("edge")
def test_a_script_signs_for_itself_and_answers_nothing(
    company: Company, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems.ensure_builtin()
    key = tmp_path / "key.json"
    ended, (public,), _ = run(None, "make-key", str(key))
    assert (ended, key.stat().st_mode & 0o777, "d" in public["keys"][0]) == (0, 0o600, False)
    assert run(None, "make-key", str(key))[0] == 2  # never over one that is there
    make.client(None, "nightly", jwks=public, api_scopes=["mandate:read", "mandate:revoke"])
    monkeypatch.setenv("MANDATE_CLIENT", "nightly")
    monkeypatch.setenv("MANDATE_KEY_FILE", str(key))

    ended, (me,), _ = run(None, "whoami")
    assert (ended, me["client"], me["agent"], me["scopes"]) == (0, "nightly", None, ["mandate:read", "mandate:revoke"])
    request = company.ask("now")
    ended, _, said = run(None, "requests", "deny", str(request.pk), "--reason", "No.")
    assert (ended, json.loads(said)["code"], json.loads(said)["exit"]) == (1, "forbidden", 1)
    assert run(None, "agents", "suspend", "research-bot", "--reason", "Odd.")[0] == 0

    key.chmod(0o640)
    ended, _, said = run(None, "whoami")
    assert (ended, json.loads(said)["code"]) == (2, "file_not_private")
    key.chmod(0o600)
    monkeypatch.setenv("MANDATE_CLIENT", "another")
    assert run(None, "whoami")[0] == 7


def test_every_operation_of_the_api_is_a_command(company: Company, run: Run) -> None:
    for resource in operations.resources():
        with pytest.raises(SystemExit) as helped:
            main.main([resource, "--help"])
        assert helped.value.code == 0
    edit = ["agents", "edit", "research-bot", "--name", "Reads", "--etag"]
    assert run(company.ana, *edit, '"99"')[0] == 4
    _, (agent,), _ = run(company.ana, "agents", "show", "research-bot")
    ended, (agent,), _ = run(company.ana, *edit, agent["etag"])
    assert (ended, agent["name"]) == (0, "Reads")
    _, events, _ = run(company.ana, "audit-events", "list", "--about", "agent:research-bot", "--action", "agent.edited")
    assert [event["action"] for event in events] == ["agent.edited"]
    assert run(company.ana, "audit", "export")[:2] == (0, [])
    assert run(company.ana, "audit", "checkpoint")[0] == 3


def test_a_secret_is_read_from_standard_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ["systems", "secret", "clock", "--value"]
    with pytest.raises(SystemExit):
        main.parser(secret).parse_args([*secret, "a word"])
    monkeypatch.setattr("sys.stdin", io.StringIO("a word\n"))
    assert vars(main.parser(secret).parse_args([*secret, "-"]))["option value"] == "a word"


def test_what_counts_for_one_is_refused_for_several(company: Company, run: Run) -> None:
    ended, _, problem = run(company.sofia, "requests", "approve", "--stdin", "--lasts", "PT1H", stdin="{}")
    assert (ended, json.loads(problem)["code"]) == (2, "option_for_one")
    ended, _, problem = run(company.sofia, "requests", "submit", "--agent", "research-bot")
    assert (ended, json.loads(problem)["code"]) == (2, "option_needed")


def test_each_end_has_its_code(company: Company, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(company.mallory, "agents", "show", "research-bot")[0] == 3
    monkeypatch.setenv("MANDATE_TOKEN", "mdt_wrong")
    assert run(None, "whoami")[0] == 7
    monkeypatch.setenv("MANDATE_CLIENT", "two ways at once")
    assert run(None, "whoami")[0] == 2
    with pytest.raises(SystemExit) as ended:
        run(company.ana, "revoke", "grant:x")  # no reason
    assert ended.value.code == 2


def test_other_peoples_text_does_nothing_to_a_terminal(
    company: Company, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Person.objects.filter(pk=company.sofia.pk)
    Agent.objects.filter(pk=company.bot.pk).update(name="\x1b[2J\u202eevil")
    run(company.ana, "whoami")

    assert main.main(["agents", "show", "research-bot"]) == 0
    shown = capsys.readouterr().out
    assert "\\x1b[2J\\u202eevil" in shown
    assert shown.replace("\n", "").isprintable()
    assert main.main(["agents", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["slug", "status", "kind", "sponsor", "owner"]
