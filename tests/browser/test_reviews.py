"""A review in a real browser: by keys alone, by touch on a small screen, without script, and every page looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings

from tests import waits
from tests.browser.conftest import PASSWORD, Visitor, complaints

pytestmark = pytest.mark.timeout(600)

SHOTS = os.environ.get("MANDATE_SHOTS", "")
WORK = "/reviews/q4/work/"
type Way = tuple[Literal["light", "dark"], int]
_MORE: tuple[Way, ...] = (("dark", 1440), ("light", 390), ("dark", 390)) if SHOTS else ()
_WAYS: tuple[Way, ...] = (("light", 1440), *_MORE, ("dark", 320))


@pytest.fixture
def review(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import review_world  # noqa: PLC0415 - the product can be imported only now

    review_world.fill(PASSWORD)


@pytest.fixture
def small_review(transactional_db: None) -> None:  # noqa: ARG001 - as above
    from tests.browser import review_world  # noqa: PLC0415 - as above

    review_world.fill(PASSWORD, items=12)


def _look(visitor: Visitor, name: str, ways: Sequence[Way] = _WAYS) -> list[str]:
    """Look at the page as it stands now, and return what is wrong with it; `test_gallery` looks in every way."""
    found: list[str] = []
    for scheme, width in _WAYS if SHOTS else ways:
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        visitor.page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
        if width != 390:
            found += [f"{name} {scheme} {width} {each}" for each in complaints(visitor.page, looks=visitor.looks)]
        across = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{name} {width}: scrolls {across} px to the side"] if across > 0 else []
        found += [f"{name} {scheme}: {each}" for each in visitor.violations()]
        if SHOTS and width != 320:
            visitor.page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png")
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.page.emulate_media(color_scheme="light")
    return found


def _answer_sixty(visitor: Visitor) -> None:
    """Remove every tenth item and keep the others, by keys, from the one that has the focus."""
    keys, page = visitor.page.keyboard, visitor.page
    for number in range(60):
        row = page.locator("tr[data-item]:focus")
        if number % 10 and row.get_attribute("data-unseen") is not None:
            page.locator("aside [data-evidence]").first.wait_for(state="attached")
            with page.expect_response("**/looked/"):
                page.clock.fast_forward(1500)  # the evidence is on screen for a second
            page.locator("tr[data-item]:focus:not([data-unseen])").wait_for()
        keys.press("r" if number % 10 == 0 else "a")
        if page.evaluate("document.activeElement.tagName") == "SELECT":
            keys.press("1")
            if page.evaluate("document.activeElement.name || ''").startswith("comment:"):
                keys.type("It closes the books.")  # what is critical is kept in writing
                keys.press("Enter")


def _first_by_keys(visitor: Visitor) -> list[str]:
    """Look at the first item before it may be kept, remove it and undo that; returns what is wrong on the way."""
    keys = visitor.page.keyboard
    visitor.page.get_by_role("button", name="Skip the practice").click()
    expect(visitor.page.locator("tr[data-item]").first).to_be_focused()
    keys.press("a")  # what is of high risk is looked at first
    visitor.page.get_by_text("Usage replay").wait_for()
    assert visitor.page.locator("tr[data-verb]").count() == 0
    wrong = _look(visitor, "work-beside", _WAYS[:1])
    first = visitor.page.locator("tr[data-item]").first
    first.focus()
    keys.press("r")
    if visitor.page.evaluate("document.activeElement.tagName") == "SELECT":
        keys.press("1")
    keys.press("z")
    assert first.get_attribute("data-verb") is None
    first.focus()
    return wrong


def test_sixty_items_are_decided_by_keys_alone_and_submitted(
    visitor: Visitor,
    review: None,  # noqa: ARG001
    settings: Settings,
) -> None:
    from governance.reviews.decisions.models import ReviewDecision  # noqa: PLC0415
    from governance.reviews.remediation.models import Remediation  # noqa: PLC0415

    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 3600  # a slow machine takes longer than five minutes for all of this
    visitor.sign_in("sofia")
    visitor.page.clock.install()
    visitor.go(WORK)
    assert visitor.page.locator("tr[data-item]").count() == 60
    wrong = _first_by_keys(visitor)
    keys = visitor.page.keyboard
    _answer_sixty(visitor)
    wrong += _look(visitor, "work-drafted", _WAYS[-1:])
    visitor.page.locator("form[data-drafted='60']").wait_for()
    keys.press("Control+Enter")
    visitor.page.wait_for_url("**/submit/")
    wrong += _look(visitor, "submit", _WAYS[:1])
    visitor.page.get_by_role("button", name="Keep 54, revoke 6").focus()
    keys.press("Enter")
    visitor.page.wait_for_url("**/reviews/q4/")
    assert visitor.page.get_by_text("6 of 6 remediations are verified").is_visible()
    said = ReviewDecision.objects.filter(verb="certify", item__risk__in=["high", "critical"])
    assert set(said.values_list("evidence_opened", flat=True)) == {True}
    assert (ReviewDecision.objects.count(), said.filter(dwell_ms__lt=1000).exists()) == (60, False)
    assert set(Remediation.objects.values_list("state", flat=True)) == {"verified"}
    assert visitor.wrong == []
    assert wrong == []


def test_an_analyst_sees_what_waits_and_names_a_reviewer(visitor: Visitor, small_review: None) -> None:  # noqa: ARG001
    visitor.sign_in("ana")
    visitor.go("/reviews/q4/")
    visitor.page.get_by_role("link", name="1 item is unassigned. Choose a reviewer.").click()
    unassigned = visitor.page.locator("#unassigned")
    unassigned.locator("summary", has_text="Assign").click()
    unassigned.get_by_role("combobox", name="Reviewer").fill("Mona")
    unassigned.get_by_label("Reason").fill("She knows the agent.")
    unassigned.get_by_role("button", name="Assign").click()
    assert visitor.page.get_by_text("reviews it now").is_visible()
    assert visitor.wrong == []


def test_a_review_of_unused_access_is_begun_and_three_items_go_to_another_by_keyboard(
    visitor: Visitor,
    small_review: None,  # noqa: ARG001
) -> None:
    from governance.reviews.reviewers.models import Assignment  # noqa: PLC0415

    visitor.sign_in("ana")
    page, keys = visitor.page, visitor.page.keyboard
    visitor.go("/reviews/new/")
    visitor.tab_to(".needs a[href*='unused=yes']")
    keys.press("Enter")
    page.get_by_role("button", name="Continue").focus()
    assert page.get_by_text("All access in force, not called in 90 days.").is_visible()
    keys.press("Enter")
    page.get_by_role("button", name="Create draft").focus()
    keys.press("Enter")
    page.locator("details.act > summary", has_text="Launch").focus()
    keys.press("Enter")
    page.get_by_label("Type the name of the review to launch it").fill(page.locator("h1").inner_text())
    keys.press("Enter")
    page.get_by_text("The review is launched").wait_for()
    page.locator("nav a", has_text="Items").click()
    boxes = page.locator("input[name=key]")
    for place in range(3):
        boxes.nth(place).focus()
        keys.press("Space")
    page.get_by_role("button", name="Reassign").focus()
    keys.press("Enter")
    page.get_by_role("combobox", name="New reviewer").fill("Mona")
    page.get_by_label("Reason").fill("Sofia is away.")
    keys.press("Enter")
    page.get_by_text("Mona reviews 3 items now.").wait_for()
    held = Assignment.objects.filter(reviewer__login="mona", state="assigned").exclude(item__campaign__slug="q4")
    assert held.count() == 3
    assert visitor.wrong == []


def test_sixty_items_by_touch_on_a_phone(browser: Browser, live_server, review: None) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001
    from governance.reviews.decisions.models import ReviewDecision  # noqa: PLC0415

    address = live_server.url.replace("127.0.0.1", "localhost")
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.set_default_timeout(1000 * waits.SECONDS)
    page.goto(f"{address}/login/?next={WORK}")
    page.get_by_label("Login").fill("sofia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").tap()
    page.wait_for_url(f"**{WORK}")
    first = page.locator("tr[data-item]").first
    first.get_by_role("link", name="Open the details").tap()
    page.locator("[data-opened]").wait_for(state="attached")  # its evidence was on the screen for a second
    page.get_by_role("link", name="Back to the workbench").tap()
    page.wait_for_url(f"**{WORK}*")
    boxes = page.eval_on_selector_all(
        ".work .choice span, .work select, .work summary, .work .pick input, .work [data-open]",
        "(all) => all.filter((e) => e.checkVisibility()).map((e) => Math.min(e.offsetHeight, e.offsetWidth))",
    )
    assert min(boxes) >= 24
    for number in range(60):
        card = page.locator("tr[data-item]").nth(number)
        keeps = card.get_attribute("data-unseen") is None
        card.get_by_role("radio", name="Keep" if keeps else "Revoke", exact=True).tap()
        if not keeps or card.get_attribute("data-weighty") is not None:
            card.locator("select").select_option("business_need" if keeps else "unused")
        if keeps and card.get_attribute("data-words") is not None:
            card.get_by_text("write why in your own words").wait_for()
            card.get_by_label("Comment on").fill("It closes the books.")
            assert not card.get_by_text("write why in your own words").is_visible()
    page.locator("form[data-drafted='60']").wait_for()
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_url("**/submit/**")
    page.get_by_role("button", name="Keep 49, revoke 11").tap()
    page.get_by_text("60 decisions are submitted.").wait_for()
    assert ReviewDecision.objects.count() == 60
    phone.close()


def test_the_single_keys_can_be_switched_off_and_stay_off(visitor: Visitor, small_review: None) -> None:  # noqa: ARG001
    visitor.sign_in("sofia")
    visitor.go(WORK)
    visitor.page.get_by_role("button", name="Keys").click()
    visitor.page.get_by_label("Use single keys").uncheck()
    visitor.go(WORK)
    row = visitor.page.locator("tr[data-item]").first
    row.focus()
    visitor.page.keyboard.press("a")
    visitor.page.keyboard.press("j")
    assert row.get_attribute("data-verb") is None
    assert row.evaluate("(row) => row === document.activeElement")
    visitor.page.keyboard.press("ArrowDown")
    assert row.evaluate("(row) => row.nextElementSibling === document.activeElement")


def test_what_was_answered_without_a_connection_is_kept_and_sent_later(visitor: Visitor, small_review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    visitor.sign_in("sofia")
    visitor.go(WORK)
    visitor.page.context.set_offline(True)
    row = visitor.page.locator("tr[data-item]").last
    row.focus()
    visitor.page.keyboard.press("a")
    visitor.page.locator("[data-banner]").wait_for()
    assert not Draft.objects.exists()
    visitor.page.context.set_offline(False)
    visitor.page.get_by_text("All drafts are saved.").wait_for()
    visitor.page.locator("form[data-drafted='1']").wait_for()
    assert Draft.objects.get().verb == "certify"


def test_what_was_on_screen_of_a_hidden_page_was_not_looked_at(visitor: Visitor, small_review: None) -> None:  # noqa: ARG001
    page = visitor.page
    visitor.sign_in("sofia")
    page.clock.install()
    visitor.go(WORK)
    page.locator("tr[data-unseen]").first.wait_for()
    page.evaluate(
        """() => {
          const send = window.fetch;
          let state = "hidden";
          window.told = [];
          window.show = () => { state = "visible"; };
          Object.defineProperty(document, "visibilityState", { get: () => state });
          window.fetch = (at, ...more) => {
            if (String(at).endsWith("/looked/")) window.told.push(state);
            return send(at, ...more);
          };
        }"""
    )
    page.locator("tr[data-unseen]").first.focus()
    page.keyboard.press("o")
    page.locator("aside [data-evidence]").first.wait_for(state="attached")
    page.clock.run_for(3000)
    page.evaluate("show()")
    page.clock.run_for(3000)
    visitor.until("told.length > 0")
    assert page.evaluate("told") == ["visible"]
    assert visitor.wrong == []
