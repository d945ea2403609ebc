"""The demo as a visitor meets it: sign in by card, follow the strip to the end, reset, and again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from scripts.demo import visit as visits
from scripts.demo import world
from scripts.demo.rest import Api
from tests.browser.conftest import Visitor, complaints, leave
from tests.entitlements.gateway.world import wait_until
from tests.journeys.conftest import Demo, a_demo

# A whole demo is started once for the file; that takes the better part of a minute.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.loopback, pytest.mark.timeout(600)]

SHOTS = os.environ.get("MANDATE_SHOTS", "")
STEPS = 6
DENIED = re.compile(r"was denied.*before it reached.*no_grant", re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that has played its story and waits for a visitor."""
    with a_demo(tmp_path_factory.mktemp("visit")) as made:
        made.world(made.start())
        yield made


@pytest.fixture
def guest(context: BrowserContext, demo: Demo) -> Visitor:
    """A visitor whose browser has never been here; the story stands at its beginning."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    found = Visitor(page, f"http://localhost:{demo.environment['CONSOLE_PORT']}")
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("console", lambda said: found.wrong.append(said.text) if said.type == "error" else None)
    be(found, "Resa")
    reset(found)
    leave(page)
    found.go("/login/")
    return found


def be(guest: Visitor, name: str) -> None:
    """Sign in by a card of the first page."""
    leave(guest.page)
    guest.go("/login/")
    guest.page.get_by_role("button", name=f"Sign in as {name}").click()
    expect(current(guest)).to_have_text(name)


def strip(guest: Visitor) -> Locator:
    return guest.page.get_by_role("region", name="The visit")


def current(guest: Visitor) -> Locator:
    return strip(guest).locator(".visit-people [aria-current]")


def press_next(guest: Visitor, name: str) -> None:
    """Press the one button that the strip recommends."""
    button = strip(guest).locator(".visit-next").locator("a, button")
    expect(button).to_have_text(name)
    button.click()


def ticked(guest: Visitor) -> Locator:
    return strip(guest).locator(".visit-steps > li.done")


def reset(guest: Visitor) -> None:
    strip(guest).get_by_role("button", name="Reset story").click()
    expect(strip(guest).get_by_role("status")).to_contain_text("The story begins again.")
    expect(ticked(guest)).to_have_count(0)


def api(demo: Demo, login: str) -> Api:
    return visits.api(world.read(demo.folder / "demo.json"), login)


def look(guest: Visitor, name: str) -> list[str]:
    """Look at the page that is open in both themes and three widths; return everything that is wrong with it."""
    found: list[str] = []
    for scheme, width in (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390), ("light", 320)):
        guest.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        guest.page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
        seen = [] if width == 390 else complaints(guest.page)
        found += [f"{name} {scheme} {width} {each}" for each in seen]
        across = guest.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{name} {width}: scrolls {across} px to the side"] if across > 0 else []
        found += [f"{name} {scheme}: {each}" for each in guest.violations()]
        if SHOTS and width != 320:
            guest.page.screenshot(path=Path(SHOTS) / f"visit-{name}-{width}-{scheme}.png")
    guest.page.set_viewport_size({"width": 1440, "height": 900})
    guest.page.emulate_media(color_scheme="light")
    return found


def narrow_and_approve(guest: Visitor) -> None:
    guest.page.uncheck("input[value=convert_time]")
    guest.page.get_by_role("button", name="Approve 1 of 2 tools").click()
    expect(ticked(guest)).to_have_count(1)


def run_the_call(guest: Visitor) -> None:
    press_next(guest, "Run the call")
    expect(strip(guest).get_by_role("status")).to_contain_text(re.compile(r"went through.*it is \d\d:\d\d in Paris"))
    expect(ticked(guest)).to_have_count(2)


def stop_and_read_the_receipt(guest: Visitor) -> None:
    press_next(guest, "Stop it, as Ana")
    guest.page.fill("textarea[name=reason]", "The trip is cancelled.")
    guest.page.locator("main form button.danger").click()
    guest.page.wait_for_url(re.compile("/stop/receipts/"))
    expect(guest.page.get_by_text("Gateway gateway-1")).to_be_visible()
    expect(ticked(guest)).to_have_count(3)


def answer_the_review(guest: Visitor) -> None:
    press_next(guest, "The review, as Sofia")
    for agent, verb, why in (("Build watcher", "Keep", "business_need"), ("Research desk", "Remove", "unused")):
        row = guest.page.locator(f"tr[data-item][data-name='{agent}']")
        row.get_by_role("radio", name=verb, exact=True).check()
        row.locator("select").select_option(why)
    guest.page.locator("form[data-drafted='2']").wait_for()
    guest.page.get_by_role("button", name="Submit").click()
    guest.page.get_by_role("button", name="Keep 1, remove 1").click()
    expect(ticked(guest)).to_have_count(5)


def test_the_whole_strip_is_played_by_cards_and_ticked_by_what_really_happens(guest: Visitor, demo: Demo) -> None:
    wrong = look(guest, "cards")
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    wrong += look(guest, "home")
    press_next(guest, "Otto's request")
    narrow_and_approve(guest)
    run_the_call(guest)
    stop_and_read_the_receipt(guest)
    expect(current(guest)).to_have_text("Ana")
    press_next(guest, "Call again")
    expect(strip(guest).get_by_role("status")).to_contain_text(DENIED)
    expect(ticked(guest)).to_have_count(4)
    wrong += look(guest, "denied")
    answer_the_review(guest)
    press_next(guest, "Verify it, as Audrey")
    expect(current(guest)).to_have_text("Audrey")
    expect(strip(guest).get_by_role("status")).to_contain_text("The record verifies: nothing in it was changed.")
    expect(ticked(guest)).to_have_count(STEPS)
    held = api(demo, "ana").every("grants?agent=research-bot&system=time&state=active")
    assert held == []

    reset(guest)
    held = api(demo, "ana").every("grants?agent=research-bot&system=time&state=active")
    assert len(held) == 1, "what the review removed was not given again"
    guest.page.set_viewport_size({"width": 390, "height": 844})
    press_next(guest, "Otto's request, as Sofia")
    narrow_and_approve(guest)
    run_the_call(guest)
    assert (guest.wrong, wrong) == ([], [])


def test_resetting_twice_leaves_what_resetting_once_leaves(guest: Visitor, demo: Demo) -> None:
    be(guest, "Bob")
    once = visits.read(demo.folder / "run")
    reset(guest)
    twice = visits.read(demo.folder / "run")

    assert (once.request, once.review) == (twice.request, twice.review)
    waiting = api(demo, "ana").every("requests?agent=travel-bot&state=in_approval")
    assert [each["id"] for each in waiting] == [twice.request]
    held = api(demo, "ana").every("grants?agent=travel-bot&system=clock&state=active")
    assert held == []


def test_a_card_counts_as_a_fresh_proof_and_resetting_starts_everything_again(guest: Visitor) -> None:
    be(guest, "Resa")
    guest.go("/stop/everything/")
    guest.page.fill("input[name=typed]", "everything")
    guest.page.fill("textarea[name=reason]", "Something is wrong everywhere.")
    guest.page.locator("main form button.danger").click()
    guest.page.wait_for_url(re.compile("/stop/receipts/"))
    expect(guest.page.get_by_text("Everything is stopped.")).to_be_visible()
    reset(guest)
    expect(guest.page.get_by_text("Everything is stopped.")).to_have_count(0)
    assert guest.wrong == []


def test_changing_person_is_one_click_and_folding_the_steps_away_is_remembered(guest: Visitor) -> None:
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    guest.go("/agents/")
    strip(guest).get_by_role("button", name="Mallory", exact=True).click()
    guest.page.wait_for_url("**/agents/")
    expect(current(guest)).to_have_text("Mallory")
    guest.page.wait_for_load_state()  # what remembers the folding listens from then on
    strip(guest).locator("summary").click()
    expect(strip(guest).get_by_role("button", name="Reset story")).to_be_hidden()
    wait_until(
        lambda: any((c.get("name"), c.get("value")) == ("visit", "closed") for c in guest.page.context.cookies())
    )
    guest.go("/")
    expect(strip(guest).get_by_role("button", name="Reset story")).to_be_hidden()
    assert (guest.wrong, guest.violations()) == ([], [])
    guest.go("/agents/nobody/")
    expect(guest.page.get_by_role("heading", name="Not here")).to_be_visible()
    expect(current(guest)).to_have_text("Mallory")


def test_on_a_phone_the_steps_begin_folded_away_and_buttons_are_large_enough(guest: Visitor) -> None:
    guest.page.set_viewport_size({"width": 390, "height": 844})
    guest.page.get_by_role("button", name="Sign in as Sofia").click()
    expect(strip(guest).locator("summary")).to_be_visible()
    expect(strip(guest).get_by_role("button", name="Reset story")).to_be_hidden()
    for button in strip(guest).locator("button:visible, a:visible").all():
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
    expect(guest.page.get_by_role("heading", name="Who would you like to be?")).to_be_visible()
