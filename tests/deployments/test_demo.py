"""The demo: the one story that must always work, a place for other suites, and what a visitor meets.

It is started once for all of this file: that takes the better part of a minute.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from scripts.demo.story import visit as visits
from scripts.demo.story.agent_client import AgentClient, Era
from scripts.devservers import free_port
from tests import waits
from tests.browser.conftest import Visitor, browser, context, leave
from tests.conformance.servers import answers, serving
from tests.deployments import visit
from tests.deployments.conftest import ROOT, Demo, a_demo

__all__ = ["browser", "context"]

pytestmark = pytest.mark.timeout(600)
DEMO_PAGE = ROOT / "docs" / "demo.md"
PROVEN = (
    "1. An analyst registered an MCP server",
    "2. An agent exists with a human sponsor",
    "3. Without a grant there is no token",
    "4. Neither the requester nor the person who gains can approve",
    "The manager narrowed the request",
    "5. Alice's ID token became an ID-JAG",
    "Signing in at Mandate itself, by code and PKCE, serves as well",
    "In both protocol eras the agent sees the one tool it may use",
    "A second real server answers",
    "A REST API stands behind the same gateway, called by MCP and by REST",
    "6. A tool outside the grant is denied",
    "An argument outside its limit is denied",
    "No denied call and none of the caller's tokens reached a server",
    "7. An analyst revoked the grant",
    "The next call on the connection that was open all along is denied",
    "The next exchange is refused",
    "8. A review begins: what is left is frozen and hashed",
    "The reduction is replayed on recorded calls before a reviewer decides on it",
    "One access is kept, one keeps only what it uses, one is removed",
    "The remediations are verified: each call that they took away was decided again, and denied",
    "What was kept still works, and what was cut is denied at the gateway",
    "What was removed gets no token any more",
    "The evidence adds up",
    "The evidence is signed off and sealed; its own script finds nothing wrong, offline",
    "One changed byte in a copy is found, and its file is named",
    "9. One timeline holds every step in order",
    "The export verifies offline",
    "One flipped bit in a copy is found",
    "10.A what-if replays a guardrail over recorded calls",
    "A guardrail that two people agreed on denies a call that the grant allows",
)


@dataclass(frozen=True)
class Up:
    """A demo that stays up, with two gateway nodes and a server that its start was given."""

    demo: Demo
    world: dict[str, Any]
    outside: str
    story: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A demo in front of another suite's server, ended as a visitor ends it and started again: the world is the same.

    It leaves nothing but the world that it keeps.
    """
    port = free_port()
    arguments = ("--nodes=2", f"--system=plain=http://localhost:{port}/mcp")
    with (
        serving(["-m", "tests.deployments.plain_server", str(port)], f"http://localhost:{port}/healthz"),
        a_demo(tmp_path_factory.mktemp("up")) as demo,
    ):
        child = demo.start(*arguments)
        made = demo.world(child)
        story = demo.printed()
        end(demo, child)
        child = demo.start(*arguments)
        world = demo.world(child)
        assert world["clients"] == made["clients"], demo.printed()
        yield Up(demo, world, f"http://localhost:{port}/mcp", story)
        end(demo, child)


def end(demo: Demo, child: subprocess.Popen[str]) -> None:
    """End a demo as its visitor does."""
    stop = [sys.executable, "-m", "scripts.demo", "--stop"]
    subprocess.run(stop, cwd=ROOT, env=demo.environment, timeout=waits.SECONDS, check=True)
    assert child.wait(timeout=waits.SECONDS) == 128 + signal.SIGTERM
    assert demo.left() == []


def test_the_main_job_holds_from_registration_to_the_verified_record(up: Up) -> None:
    said = up.story

    lines = iter(said.splitlines())
    missing = [sentence for sentence in PROVEN if not any(sentence in line and "✓" in line for line in lines)]
    assert missing == [], said
    assert said.index("The console is at") < said.index("Playing the main job"), "the address does not stand first"
    assert "DOES NOT HOLD" not in said


def test_a_second_start_takes_the_world_up_and_plays_nothing_again(up: Up) -> None:
    said = up.demo.printed()
    assert "is taken up again" in said
    assert "Playing the main job" not in said
    assert "Creating the tables" not in said


def test_a_server_from_the_command_line_stands_behind_the_gateway(up: Up) -> None:
    eras: tuple[Era, ...] = ("2026-07-28", "legacy")
    player = AgentClient.of(up.world, "expense-bot")

    assert up.world["systems"]["plain"]["upstream"] == up.outside
    for era in eras:
        names = [tool["name"] for tool in asyncio.run(player.list_tools("plain", person="alice", era=era))]
        seen = asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="alice", era=era))
        assert (names, seen.allowed, seen.text) == (["add", "delete_note"], True, "5")
    assert not asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="bob")).allowed


def test_no_page_of_a_control_above_the_grants_is_empty(up: Up) -> None:
    ana = visit.api(up.demo, "ana")

    assert [row["name"] for row in ana.every("guardrails")] == ["No heavy parcels"]
    assert [row["name"] for row in ana.every("session-policies")] == ["personal-agents"]
    assert [row["agent"] for row in ana.every("budgets")] == ["parcel-bot"]
    assert ana.get("systems/suite/policy-domain").body["number"] == 1


def test_the_second_node_listens_on_the_next_port(up: Up) -> None:
    assert answers(f"http://localhost:{int(up.demo.environment['GATEWAY_PORT']) + 1}/healthz")


def test_its_people_have_departments_so_the_posture_report_has_a_row_for_each(up: Up) -> None:
    report = visit.api(up.demo, "resa").get("posture-reports").body
    assert {row["department"] for row in report["results"]} >= {None, "Finance", "IT", "Sales"}


def test_what_the_demo_tells_is_for_its_owner_alone(up: Up) -> None:
    assert stat.S_IMODE((up.demo.folder / "demo.json").stat().st_mode) == 0o600


def test_the_commands_on_the_page_of_the_demo_tell_the_same_story(up: Up, tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to(up.demo.folder)
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", DEMO_PAGE.read_text(), re.DOTALL))

    ran = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    listed, allowed, limited, other, receipt, after, refused, *told = ran.stdout.splitlines()
    assert [tool["name"] for tool in json.loads(listed)["result"]["tools"]] == ["get_current_time"]
    assert json.loads(allowed)["result"]["structuredContent"]["timezone"] == "Europe/Paris"
    assert [code(limited), code(other), code(after)] == ["argument_outside_limit", "no_grant", "no_grant"]
    assert {each["node"] for each in json.loads(receipt)["acknowledged"]} == {"gateway-1", "gateway-2"}
    assert json.loads(refused)["error"] == "access_denied"
    assert [line.split()[2] for line in told][-2:] == ["call.denied", "token.refused"]


def test_the_commands_for_scripts_do_what_their_page_says(up: Up, tmp_path: Path) -> None:
    tools = DEMO_PAGE.read_text().partition("```sh\n")[2].partition("\n```")[0]
    page = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operate/scripts.md").read_text(), re.DOTALL)
    (tmp_path / "var").symlink_to(up.demo.folder)
    client = f'mandate() {{ PYTHONPATH={ROOT} {sys.executable} -m governance.cli "$@"; }}'
    commands = "\n".join([tools, client, "export MANDATE_URL=$CONSOLE", *page])

    ran = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    me, receipt = (json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{"))
    assert me["client"] == "night-watch"
    assert {each["node"] for each in receipt["acknowledged"]} == {"gateway-1", "gateway-2"}
    tables = [line.split() for line in ran.stdout.splitlines() if not line.startswith("{")]
    assert [row[0] for row in tables if row[0] in {"id", "at"}] == ["id", "at"]
    assert "request.submitted" in ran.stdout


def code(denial: str) -> str:
    """Return the word of a denied call."""
    return str(json.loads(denial)["result"]["_meta"]["mandate/denial"]["code"])


@pytest.fixture
def guest(context: BrowserContext, up: Up) -> Visitor:
    """A visitor whose browser has never been here; the story stands at its beginning."""
    page = context.new_page()
    page.set_default_timeout(1000 * waits.SECONDS)
    found = Visitor(page, f"http://localhost:{up.demo.environment['CONSOLE_PORT']}")
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("console", lambda said: found.wrong.append(said.text) if said.type == "error" else None)
    visit.be(found, "Resa")
    visit.reset(found)
    leave(page)
    found.go("/login/")
    return found


def test_the_whole_strip_is_played_by_cards_and_ticked_by_what_really_happens(guest: Visitor, up: Up) -> None:
    wrong = visit.look(guest, "cards")
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    wrong += visit.look(guest, "home")
    visit.press_next(guest, "Otto's request")
    visit.narrow_and_approve(guest)
    visit.run_the_call(guest)
    visit.stop_and_read_the_receipt(guest)
    expect(visit.current(guest)).to_have_text("Ana")
    visit.press_next(guest, "Call again")
    expect(visit.strip(guest).get_by_role("status")).to_contain_text(visit.DENIED)
    expect(visit.ticked(guest)).to_have_count(4)
    wrong += visit.look(guest, "denied")
    visit.answer_the_review(guest)
    visit.press_next(guest, "Verify it, as Audrey")
    expect(visit.current(guest)).to_have_text("Audrey")
    expect(visit.strip(guest).get_by_role("status")).to_contain_text("The audit log verifies: no event was changed.")
    expect(visit.ticked(guest)).to_have_count(visit.STEPS)
    held = visit.api(up.demo, "ana").every("grants?agent=research-bot&system=time&state=active")
    assert held == []

    visit.reset(guest)
    held = visit.api(up.demo, "ana").every("grants?agent=research-bot&system=time&state=active")
    assert len(held) == 1, "what the review removed was not given again"
    guest.page.set_viewport_size({"width": 390, "height": 844})
    visit.press_next(guest, "Otto's request, as Sofia")
    visit.narrow_and_approve(guest)
    visit.run_the_call(guest)
    assert (guest.wrong, wrong) == ([], [])


def test_resetting_twice_leaves_what_resetting_once_leaves(guest: Visitor, up: Up) -> None:
    visit.be(guest, "Bob")
    once = visits.read(up.demo.folder / "run")
    visit.reset(guest)
    twice = visits.read(up.demo.folder / "run")

    assert (once.request, once.review) == (twice.request, twice.review)
    waiting = visit.api(up.demo, "ana").every("requests?agent=travel-bot&state=in_approval")
    assert [each["id"] for each in waiting] == [twice.request]
    held = visit.api(up.demo, "ana").every("grants?agent=travel-bot&system=clock&state=active")
    assert held == []


def test_a_card_counts_as_a_fresh_proof_and_resetting_starts_everything_again(guest: Visitor) -> None:
    visit.be(guest, "Resa")
    guest.go("/stop/everything/")
    guest.page.fill("input[name=typed]", "everything")
    guest.page.fill("textarea[name=reason]", "Something is wrong everywhere.")
    guest.page.locator("main form button.danger").click()
    guest.page.wait_for_url(re.compile("/stop/receipts/"))
    expect(guest.page.get_by_text("All access is suspended.")).to_be_visible()
    visit.reset(guest)
    expect(guest.page.get_by_text("All access is suspended.")).to_have_count(0)
    assert guest.wrong == []


def test_changing_person_keeps_the_page_and_the_strip_is_one_line(guest: Visitor) -> None:
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    guest.go("/agents/")
    box = visit.strip(guest).bounding_box()
    assert box is not None
    assert box["height"] <= 48
    visit.switch(guest, "Mallory")
    guest.page.wait_for_url("**/agents/")
    expect(visit.current(guest)).to_have_text("Mallory")
    expect(visit.strip(guest).get_by_role("button", name="Reset story")).to_be_hidden()
    assert (guest.wrong, guest.violations()) == ([], [])
    guest.go("/agents/nobody/")
    expect(guest.page.get_by_role("heading", name="Page not found")).to_be_visible()
    expect(visit.current(guest)).to_have_text("Mallory")


def test_on_a_phone_the_steps_are_folded_away_and_buttons_are_large_enough(guest: Visitor) -> None:
    guest.page.set_viewport_size({"width": 390, "height": 844})
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    expect(visit.strip(guest).get_by_text("Steps")).to_be_visible()
    expect(visit.strip(guest).get_by_role("button", name="Reset story")).to_be_hidden()
    for button in visit.strip(guest).locator("button:visible, a:visible, summary:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 36, button.inner_text()


def test_a_card_takes_a_form_of_ours_and_only_the_cast_has_one(guest: Visitor) -> None:
    forged = guest.page.context.request.post(f"{guest.address}/visit/sign-in/", form={"person": "sofia"})
    assert forged.status == 403
    assert guest.page.context.request.get(f"{guest.address}/visit/sign-in/").status == 405
    button = guest.page.get_by_role("button", name="Sign in as Sofia")
    button.evaluate("(button) => { button.value = 'leo'; }")
    button.click()
    guest.page.wait_for_url("**/login/")
    expect(guest.page.get_by_role("heading", name="Choose a role")).to_be_visible()
