"""What a visitor of the demo does: sign in by card, follow the strip, reset the story."""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.sync_api import Locator, expect

from scripts.demo.data import world
from scripts.demo.story import visit as visits
from scripts.demo.story.rest import Api
from tests.browser.conftest import Visitor, complaints, leave
from tests.deployments.conftest import Demo

STEPS = 6
DENIED = re.compile(r"was denied.*before it reached.*no_grant", re.DOTALL)
SHOTS = os.environ.get("MANDATE_SHOTS", "")


def be(guest: Visitor, name: str) -> None:
    """Sign in by a card of the first page."""
    leave(guest.page)
    guest.go("/login/")
    guest.page.get_by_text("Other people").click()
    guest.page.get_by_role("button", name=f"Sign in as {name}").click()
    expect(current(guest)).to_have_text(name)


def strip(guest: Visitor) -> Locator:
    return guest.page.get_by_role("region", name="The visit")


def current(guest: Visitor) -> Locator:
    return strip(guest).locator("[data-person]")


def press_next(guest: Visitor, name: str) -> None:
    """Press the one button that the strip recommends."""
    button = strip(guest).locator(".visit-next").locator("a, button")
    expect(button).to_have_text(name)
    button.click()


def ticked(guest: Visitor) -> Locator:
    return strip(guest).locator(".visit-steps > li.done")


def switch(guest: Visitor, name: str) -> None:
    """Become another person from the strip."""
    strip(guest).locator(".visit-people summary").click()
    strip(guest).get_by_role("button", name=name, exact=True).click()


def reset(guest: Visitor) -> None:
    strip(guest).get_by_text("Steps").click()
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
        seen = [] if width == 390 else complaints(guest.page, looks=guest.looks)
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
    press_next(guest, "Revoke it, as Ana")
    guest.page.fill("textarea[name=reason]", "The trip is cancelled.")
    guest.page.locator("main form button.danger").click()
    guest.page.wait_for_url(re.compile("/stop/receipts/"))
    expect(guest.page.get_by_text("Gateway gateway-1")).to_be_visible()
    expect(ticked(guest)).to_have_count(3)


def answer_the_review(guest: Visitor) -> None:
    press_next(guest, "The review, as Sofia")
    for agent, verb, why in (("Build watcher", "Keep", "business_need"), ("Research desk", "Revoke", "unused")):
        row = guest.page.locator(f"tr[data-item][data-name='{agent}']")
        row.get_by_role("radio", name=verb, exact=True).check()
        row.locator("select").select_option(why)
    guest.page.locator("form[data-drafted='2']").wait_for()
    guest.page.get_by_role("button", name="Submit").click()
    guest.page.get_by_role("button", name="Keep 1, revoke 1").click()
    expect(ticked(guest)).to_have_count(5)
