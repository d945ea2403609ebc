"""The journeys of an analyst, an owner and an auditor who are here for the first time, each interaction counted.

Typing a text is part of filling in its field. Each journey begins on the home page and ends where its question is
answered. What a task takes is printed (`-s`); a task with ten interactions or more fails.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import PASSWORD, Visitor, let_in
from tests.browser.hands import Finger, Keys

if TYPE_CHECKING:
    from tests.audit import make as audit_make

pytestmark = pytest.mark.timeout(300)

SHOTS: Final = os.environ.get("MANDATE_SHOTS", "")
MOST: Final = 10
"""A task that takes so many interactions takes too many."""
WATCH: Final = """
window.answered = [];
for (const kind of ["keydown", "pointerdown"])
  document.addEventListener(kind, (event) => { if (event.key !== "Tab") window.asked = performance.now(); }, true);
new MutationObserver((changes) => {
  if (changes.some((each) => each.target.matches("tr[data-item]")) && window.asked) {
    window.answered.push(performance.now() - window.asked); window.asked = 0;
  }
}).observe(document, { attributes: true, attributeFilter: ["data-verb"], subtree: true });
"""
"""Measures in the page how long after a key or a touch an item of the review shows its decision."""


@pytest.fixture
def company(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import journeys_world  # noqa: PLC0415 - the product can be imported only now

    journeys_world.fill(PASSWORD)


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"journey-{name}.png", full_page=True)


@pytest.fixture
def archive(tmp_path: Path) -> audit_make.Archive:
    """Return a folder outside the database, with the key that seals the audit log."""
    from tests.audit import make as audit_make  # noqa: PLC0415 - as above

    return audit_make.Archive(tmp_path, Ed25519PrivateKey.generate())


@pytest.mark.usefixtures("company")
def test_an_analyst_reviews_the_riskiest_unused_access_of_a_department_by_keyboard(visitor: Visitor) -> None:
    from governance.reviews.campaigns.models import Campaign  # noqa: PLC0415 - the product can be imported only now
    from governance.reviews.items.models import ReviewItem  # noqa: PLC0415

    page, hands = visitor.page, Keys(visitor.page)
    main, rows = page.locator("main"), page.locator("tbody tr")
    visitor.sign_in("ana")
    visitor.go("/")
    with hands.fewer_than(MOST, "find the riskiest unused access of a department"):
        hands.press(page.get_by_role("navigation", name="Main").get_by_role("link", name="Agents", exact=True))
        hands.press(main.get_by_role("link", name="Dormant", exact=True))
        page.wait_for_url("**view=dormant**")
        hands.press(page.locator("#agents-facet-department"))
        hands.press(main.get_by_role("link", name=re.compile("^Finance")))
        page.wait_for_url("**department=Finance**")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("13")  # the biggest blast radius comes first
    shoot(page, "analyst-1")

    with hands.fewer_than(MOST, "start a review of it from a template"):
        hands.tick(page.locator("[data-tick-all]"))
        hands.press(main.get_by_role("button", name="Start an access review"))
        hands.press(main.get_by_role("link", name="Unused access").first)
        expect(page.locator("#preview")).to_contain_text("4 grants, 4 items to decide")
        shoot(page, "analyst-2")
        hands.press(main.get_by_role("button", name="Continue"))
        hands.press(main.get_by_role("button", name="Create and launch…"))
        expect(main.get_by_label("Type the name of the review")).to_be_focused()
        hands.write(main.get_by_label("Type the name of the review"), page.locator("h1").inner_text())
        hands.press(main.locator("form").get_by_role("button", name="Launch", exact=True))
        expect(page.get_by_text("The review is launched, with")).to_be_visible()
    review = Campaign.objects.latest("created_at")
    assert (review.state, review.items.count()) == (Campaign.State.ACTIVE, 4)
    shoot(page, "analyst-3")

    with hands.fewer_than(MOST, "hand three items to others"):
        hands.press(main.get_by_role("link", name="Items", exact=True))
        for number in range(3):
            hands.tick(rows.nth(number).get_by_role("checkbox"))
        hands.press(main.get_by_role("button", name="Reassign"))
        hands.write(main.get_by_role("combobox", name="New reviewer"), "Mona")
        hands.write(main.get_by_label("Reason"), "She knows these agents.")
        shoot(page, "analyst-4")
        hands.press(main.get_by_role("button", name="Reassign 3 items"))
        page.wait_for_url(f"**/reviews/{review.slug}/items/")
    handed = ReviewItem.objects.filter(campaign=review, assignments__reviewer__login="mona")
    assert handed.filter(assignments__state="assigned").count() == 3
    assert (visitor.wrong, visitor.violations()) == ([], [])


WAYS: Final[dict[str, dict[str, Any]]] = {
    "by keys alone": {"viewport": {"width": 1440, "height": 900}},
    "by touch on a phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
ON_SCREEN: Final = """(rows) => rows.filter((row) => {
  const box = row.getBoundingClientRect(), bar = document.querySelector("form > .decide:last-child");
  return box.height && box.bottom <= bar.getBoundingClientRect().top + 8;
}).length"""
LIGHT: Final = "tr[data-item]:not([data-weighty], [data-unseen], [data-verb])"


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("way", WAYS)
def test_an_owner_decides_ten_light_items_and_one_of_high_risk(
    way: str, browser: Browser, live_server: LiveServer
) -> None:
    """The first item has the focus, and the next one follows each decision; each is one key or one tap.

    A decision is shown without a new page, and kept by one request. The time from the key or the touch to the decision
    on the screen is measured in the page and printed; the issue asks for 300 ms, and no test may depend on a clock.
    """
    from governance.reviews.decisions.models import Draft, ReviewDecision  # noqa: PLC0415 - the product can be imported only now

    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **WAYS[way])
    context.add_init_script(WATCH)
    page, wide = context.new_page(), WAYS[way]["viewport"]["width"]
    wrong: list[str] = []
    kept: list[str] = []
    address = live_server.url.replace("127.0.0.1", "localhost")
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: kept.append(asked.url) if asked.url.endswith("/draft/") else None)
    let_in(page, address, "sofia")
    page.goto(f"{address}/")
    hands = Keys(page) if way == "by keys alone" else Finger(page)
    with hands.fewer_than(MOST, f"{way}: open the review, and decide the practice item"):
        hands.press(page.locator("main").get_by_role("link", name=re.compile("^Review")))
        _practise(hands)
    with hands.fewer_than(MOST, f"{way}: decide an item of high risk with its details"):
        _decide_high(hands)
    shoot(page, f"owner-high-{wide}")
    if isinstance(hands, Keys):
        with hands.fewer_than(MOST, f"{way}: come to the items of low and medium risk"):
            while page.locator(f"{LIGHT}:focus").count() == 0:
                hands.key("j")
    _decide_ten(hands, way)
    assert len(set(kept)) == 11, "each is kept by itself"
    assert len(kept) <= 13, "by one request, or two where a reason followed the decision"
    assert Draft.objects.exclude(verb="").count() == 11
    shoot(page, f"owner-ten-{wide}")
    with hands.fewer_than(MOST, f"{way}: submit them"):
        hands.press(page.get_by_role("button", name="Submit…"))
        hands.press(page.locator("form .decide > button:last-child").last)
        expect(page.get_by_text("11 decisions are submitted.")).to_be_visible()
    assert ReviewDecision.objects.count() == 11
    assert wrong == []
    context.close()


def _decide_ten(hands: Keys | Finger, way: str) -> None:
    """Decide ten items without a new page, and print how long each took to show it."""
    page = hands.page
    page.evaluate("window.same = true")  # gone if the page were loaded anew
    page.evaluate("window.answered = []")
    with hands.fewer_than(2 * MOST, f"{way}: decide ten items of low and medium risk"):
        for _ in range(10):
            _keep_next(hands)
    page.locator("form[data-drafted='11']").wait_for()
    expect(page.locator("[data-progress]")).to_contain_text("11 of")
    expect(page.locator("[data-progress]")).to_contain_text("left at your pace")
    assert page.evaluate("window.same"), "no page was loaded"
    times = page.evaluate("window.answered.map(Math.round)")
    assert len(times) >= 10
    print(f"\n{way}: decisions shown after {sorted(times)} ms")  # noqa: T201 - the measurement that the issue asks for


def _practise(hands: Keys | Finger) -> None:
    """Decide the practice item with which a first review opens."""
    page = hands.page
    page.locator("[data-practice-item]").wait_for()
    if isinstance(hands, Keys):
        expect(page.locator("[data-practice-item]")).to_be_focused()
        hands.key("a")
        expect(page.locator("tr[data-item]").first).to_be_focused()
        assert page.locator("tr[data-item]").evaluate_all(ON_SCREEN) >= 8
    else:
        hands.press(page.locator("[data-practice-item]").get_by_role("button", name="Keep", exact=True))
    expect(page.get_by_role("status").filter(has_text="Practice: you chose Keep.")).to_be_visible()


def _decide_high(hands: Keys | Finger) -> None:
    """Read the details of an item of high risk, and keep it with a reason."""
    page = hands.page
    row = page.locator("tr[data-item][data-weighty]:not([data-words])").first
    if isinstance(hands, Keys):
        while not row.evaluate("(row) => row === document.activeElement"):
            hands.key("j")
        hands.key("o")
        page.locator("aside [data-evidence]").first.wait_for(state="attached")
        page.locator("tr[data-item]:focus:not([data-unseen])").wait_for()
        hands.key("a")
        hands.key("1")
        expect(row).not_to_be_focused()
    else:
        name = row.get_attribute("id")
        with page.expect_response("**/looked/"):  # its details were on the screen for a second
            hands.press(row.locator("[data-first] a"))
        shoot(page, "owner-details-390")
        hands.press(page.get_by_role("link", name="Back to the workbench"))
        hands.keep(page.locator(f"#{name}"))
        hands.pick(page.locator(f"#{name} select"), "The business needs it")


def _keep_next(hands: Keys | Finger) -> None:
    """Decide the next item of low or medium risk: by keys, what is unused is revoked, for which that is the reason."""
    page = hands.page
    if isinstance(hands, Keys):
        here = page.locator("tr[data-item]:focus").get_attribute("id")
        hands.key("r" if page.locator("tr[data-unused]:focus").count() else "a")
        if page.evaluate("document.activeElement.matches('select')"):
            hands.key("1")  # it is kept against the suggestion, for the first of the reasons
        assert page.locator("tr[data-item]:focus").get_attribute("id") != here, "the next item has the focus"
    else:
        hands.keep(page.locator(LIGHT).first)


@pytest.mark.usefixtures("company")
def test_an_auditor_learns_who_approved_a_tool_last_quarter_and_who_used_it(
    visitor: Visitor, archive: audit_make.Archive
) -> None:
    """The access has ended since: what is over is found as well, and the audit log's seal is checked at once."""
    from tests.browser import journeys_world  # noqa: PLC0415 - the product can be imported only now

    archive.seal()
    page, hands, approved = visitor.page, Keys(visitor.page), journeys_world.approved_at()
    main = page.locator("main")
    visitor.sign_in("audrey")
    visitor.go("/")
    with hands.fewer_than(MOST, "who approved a tool last quarter, who used it, prove it"):
        hands.key("Control+k")
        page.keyboard.type("payroll/export")
        expect(page.locator("#command .found a")).to_have_count(1)
        hands.key("Enter")
        page.wait_for_url("**/systems/payroll/tools/export/")
        hands.press(main.get_by_role("link", name="Show ended grants too"))
        hands.press(main.locator("tbody a").first)
        shoot(page, "auditor-1")
        for said in ("Sam approved the access request", "payroll-bot called a tool"):
            expect(page.locator(".timeline")).to_contain_text(said)
        expect(page.locator(".timeline li", has_text="Sam approved").locator("time")).to_have_attribute(
            "datetime", re.compile(f"^{approved:%Y-%m-%d}")
        )
        hands.press(page.locator(".timeline li", has_text="Sam approved").locator("summary"))
        hands.press(page.locator(".timeline").get_by_role("link", name="approval.given"))
        hands.press(main.get_by_role("link", name="Verify now"))
        expect(page.get_by_role("heading", name="Verified: nothing that was checked is altered")).to_be_visible()
    expect(page.locator("#list-audit-log tbody td").last).to_have_text(re.compile(r"^\s*[\d,]+\s*$"))  # its place
    shoot(page, "auditor-2")
    page.locator("#audit-log-export").click()
    with page.expect_download() as download:
        main.get_by_role("link", name="CSV for a spreadsheet").click()
    assert "approval.given" in download.value.path().read_text()
    assert visitor.wrong + visitor.violations() == []
