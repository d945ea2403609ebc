"""Token health for an analyst: findings with the fix beside each, and a page of 120 tokens, narrowed by keyboard."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.token_families.models import TokenFamily
from governance.token_health import groups
from tests import make
from tests.browser.conftest import PASSWORD, Visitor
from tests.browser.test_gallery import look_at
from tests.governance.token_health import test_tokens
from tests.governance.token_health.test_tokens import World


@pytest.fixture
def world(transactional_db: None) -> World:  # noqa: ARG001 - the server reads what is committed
    made = test_tokens.made()
    made.company.ana.set_password(PASSWORD)
    made.company.ana.save()
    return made


def test_an_analyst_reads_a_page_of_tokens_and_follows_a_finding(visitor: Visitor, world: World) -> None:
    visitor.sign_in("ana")
    family, now = make.token_family(world.session, world.company.system), clock.now()
    TokenFamily.objects.filter(pk=family.pk).update(
        auth_time=now - timedelta(days=3), started_at=now - timedelta(days=3)
    )
    world.call("now")
    for number in range(130):
        issued = now - timedelta(minutes=20 * number)
        world.issue(
            family=family.pk if number % 3 else None,
            jkt="" if number % 2 else "k" * 43,
            issued_at=issued,
            expires_at=issued + timedelta(seconds=60 + number),
        )
    groups.count()
    wrong = look_at(visitor, "token-health", "/token-health/")
    wrong += look_at(visitor, "tokens-full", "/token-health/tokens/")
    wrong += look_at(visitor, "tokens-none", "/token-health/tokens/?q=nothing+like+it")
    assert not wrong, "\n".join(wrong)

    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.go("/token-health/")
    visitor.page.get_by_role("link", name="All tokens").click()
    assert visitor.page.locator("tbody tr").count() == 120
    visitor.tab_to("#tokens-facet-binding")
    visitor.page.keyboard.press("Enter")
    visitor.tab_to("#tokens-binding-2")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**binding=bearer**")
    assert visitor.page.locator("tbody tr").count() == 66
    visitor.until("document.querySelector('.chips') !== null")
    visitor.page.get_by_role("link", name="Lives", exact=True).click()
    visitor.page.wait_for_url("**sort=-life**")
    assert visitor.page.locator("th[aria-sort=descending]").inner_text().startswith("Lives")
