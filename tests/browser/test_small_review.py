"""A small review in a real browser: from the home page to an answer that counts, in three clicks at most."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests import waits
from tests.browser.conftest import PASSWORD, Visitor

pytestmark = pytest.mark.timeout(600)

MOST = 3
SHOTS = os.environ.get("MANDATE_SHOTS", "")


def _way(answer: str, page: Visitor) -> list[Callable[[], Locator]]:
    """Name what is clicked for an answer, once the page is open."""
    find = page.page
    match answer:
        case "Keep some":
            ticked = find.get_by_label("Sends a letter.", exact=False)
            return [lambda: ticked, lambda: find.get_by_role("button", name="Keep some", exact=False)]
        case "Keep":  # it is suggested to keep less, so it asks why
            return [lambda: find.get_by_role("radio"), lambda: find.get_by_role("button", name="Keep", exact=True)]
        case "Don't know":
            return [
                lambda: find.get_by_text("Don't know"),
                lambda: find.locator("button[value='abstain:dont_understand']"),
            ]
    # the reason of the cause is none of those that revoke
    return [lambda: find.locator("#why-revoke"), lambda: find.get_by_role("button", name=answer, exact=True)]


@pytest.mark.parametrize("answer", ["Keep", "Keep some", "Revoke", "Don't know"])
def test_from_the_home_page_each_answer_takes_three_clicks_at_most(
    transactional_db: None,  # noqa: ARG001 - the server reads what is committed
    visitor: Visitor,
    answer: str,
) -> None:
    from governance.reviews.decisions.models import (  # noqa: PLC0415 - the product can be imported only now
        ReviewDecision,
    )
    from governance.reviews.reviewers.models import Assignment  # noqa: PLC0415 - the product can be imported only now
    from tests.browser import small  # noqa: PLC0415 - as above

    small.fill(PASSWORD)
    visitor.sign_in("sofia")
    visitor.go("/")
    asked = "A tool changed: Letter writer"
    clicks = [lambda: visitor.page.get_by_role("link", name=asked), *_way(answer, visitor)]
    for number, click in enumerate(clicks):
        what = click().first
        if what.evaluate("what => what.matches('select')"):
            what.select_option("risk")
        else:
            what.click()
        if number == 0:
            visitor.page.wait_for_url("**/event-triggered-reviews/*/")
            waits.until(lambda: Assignment.objects.get().evidence_opened_at is not None)
        if SHOTS and number == 0:
            _shoot(visitor, "small")
    visitor.page.wait_for_load_state()
    assert len(clicks) <= MOST
    verbs = {"Keep": "certify", "Keep some": "reduce", "Revoke": "revoke", "Don't know": "abstain"}
    visitor.page.get_by_text("decision is submitted").first.wait_for()
    said = ReviewDecision.objects.get()
    assert (said.verb, said.evidence_opened, bool(said.dwell_ms)) == (verbs[answer], True, True)
    assert not visitor.wrong + visitor.violations()
    if SHOTS and answer == "Keep":
        for name, path in (
            ("unused", "/right-sizing/"),
            ("agent", "/agents/letter-bot/"),
            ("list", "/reviews/?kind=micro"),
        ):
            visitor.go(path)
            _shoot(visitor, name)


def test_a_spot_check_is_answered_by_keys_alone(
    transactional_db: None,  # noqa: ARG001 - the server reads what is committed
    visitor: Visitor,
) -> None:
    from governance.reviews.spot_checks.models import (  # noqa: PLC0415 - the product can be imported only now
        SpotCheck,
    )
    from tests import make  # noqa: PLC0415 - as above
    from tests.governance.reviews import worlds  # noqa: PLC0415 - as above

    sofia = make.person("sofia", password=PASSWORD)
    worlds.spot_checked(make.system("front-desk", owner=sofia), sponsor=make.person("otto"), by=make.analyst("ana"))
    visitor.sign_in("sofia")
    visitor.go("/")
    visitor.tab_to("a[href^='/spot-checks/']")
    press = visitor.page.keyboard.press
    press("Enter")
    visitor.page.wait_for_url("**/spot-checks/")
    visitor.tab_to("a.main")
    press("Enter")
    visitor.page.wait_for_url("**/spot-checks/*/")  # which is loaded then, and hears keys
    press("r")
    visitor.until("document.querySelector('#why').required")
    visitor.tab_to("#why")
    visitor.page.keyboard.type("It is not used")
    visitor.tab_to("form[data-spot-check] button")
    press("Enter")
    visitor.page.get_by_text("It changes no access.").first.wait_for()
    check = SpotCheck.objects.get()
    assert (check.verb, check.reason_code) == ("revoke", "unused")
    assert not visitor.wrong + visitor.violations()


def _shoot(visitor: Visitor, name: str) -> None:
    for scheme in ("light", "dark"):
        for width in (1440, 390):
            visitor.page.emulate_media(color_scheme=scheme)
            visitor.page.set_viewport_size({"width": width, "height": 900})
            visitor.page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
