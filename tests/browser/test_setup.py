"""The set-up page as an administrator meets it, in every light and width, and the banner that leads there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from tests.browser.conftest import Visitor
from tests.browser.test_gallery import look_at

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("company")]


@pytest.fixture(autouse=True)
def _half_set_up(settings: Settings, company: None) -> None:  # noqa: ARG001 - the company is there
    """Let one line have failed, one be tested, and the rest be as it is in a company that works already."""
    from governance.setup.models import SetupCheck  # noqa: PLC0415 - the product can be imported only now
    from tests.governance import setups  # noqa: PLC0415

    settings.SETUP_FIRST, settings.OIDC_ISSUER = True, setups.ISSUER
    sentence = f"{setups.ISSUER}: The other side did not answer as expected. Try again later."
    setups.kept(SetupCheck.Line.SIGN_IN, passed=False, subject=setups.ISSUER, sentence=sentence)
    setups.kept(SetupCheck.Line.BACKUP, passed=True, sentence="s3://backups, the key in the safe")


def test_an_administrator_finds_every_line_and_its_test_in_every_light(visitor: Visitor) -> None:
    visitor.sign_in("admin")
    assert look_at(visitor, "setup", "/settings/setup/") == []
    assert look_at(visitor, "setup-banner", "/") == []


def test_a_test_is_pressed_by_keyboard_and_the_page_comes_back_to_its_line(visitor: Visitor) -> None:
    visitor.sign_in("admin")
    visitor.go("/settings/setup/")
    visitor.tab_to('form[action="/settings/setup/anchor/test/"] button')
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/settings/setup/#anchor")
    expect(visitor.page.locator("#anchor")).to_contain_text(re.compile(r"Tested\s+now"))
    assert (visitor.wrong, visitor.violations()) == ([], [])


def test_a_link_for_a_colleague_is_shown_once_and_fits_the_page(visitor: Visitor) -> None:
    visitor.sign_in("admin")
    visitor.go("/settings/setup/")
    visitor.page.fill("#email", "bea@example.org")
    visitor.page.get_by_role("button", name="Invite", exact=True).click()
    expect(visitor.page.locator("#fresh")).to_contain_text("/welcome/")
    visitor.page.set_viewport_size({"width": 320, "height": 700})
    across = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert across <= 0
