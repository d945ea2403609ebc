"""An analyst proposes an identity provider, and a second person reads what it changes before they confirm it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.people.models import Person, Role
from tests import make
from tests.browser.conftest import PASSWORD, Visitor, leave
from tests.browser.test_gallery import look_at

PAGE = "/settings/trusted-issuers/"


@pytest.fixture
def people(transactional_db: None) -> list[Person]:  # noqa: ARG001 - the server reads what is committed
    make.client(make.agent("expense-bot"), "expense-client")
    return [make.person(login, roles=[role], password=PASSWORD) for login, role in WHO.items()]


WHO = {"ana": Role.ANALYST, "sam": Role.SECURITY}


def _trusted() -> None:
    """Trust three issuers: one is well, one was away for a while, one for too long."""
    from entitlements.trusted_issuers import trust  # noqa: PLC0415 - the product can be imported only now
    from entitlements.trusted_issuers.models import IssuerKeys  # noqa: PLC0415

    now, long = clock.now(), "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0"
    for name, minutes in (("https://acme.okta.com", 0), (long, 40), ("https://sso.acme.example/realms/acme", 400)):
        row = trust.begin(name, purpose="identity", jwks_uri=f"{name}/keys", algorithms=["RS256"], by=SYSTEM)
        ago = now - timedelta(minutes=minutes)
        seen = IssuerKeys(issuer=row, keys=[{"kid": "k-7Qm2", "alg": "RS256"}], fetched_at=ago, tried_at=now)
        if minutes:
            seen.failing_since, seen.problem = ago, "The other side did not answer as expected. Try again later."
        seen.save()


def test_an_issuer_is_proposed_by_one_and_confirmed_by_another(visitor: Visitor, people: list[Person]) -> None:
    ana, sam = people
    visitor.sign_in(ana.login)
    wrong = look_at(visitor, "trusted-issuers-empty", PAGE)
    wrong += look_at(visitor, "trusted-issuer-propose", f"{PAGE}propose/")
    visitor.go(f"{PAGE}propose/")
    visitor.page.get_by_label("Issuer", exact=True).fill("https://partner.example")
    visitor.page.get_by_label("ID-JAGs", exact=True).check()
    visitor.page.get_by_label("Pinned keys").fill(json.dumps({"keys": [make.PUBLIC_KEY]}))
    visitor.page.get_by_label("Its clients, and ours").fill("0oa1b2c3 = expense-client")
    visitor.page.get_by_label("Reason").fill("Our partner's agents.")
    visitor.page.get_by_role("button", name="Propose").click()
    visitor.page.wait_for_url(f"**{PAGE}")

    _trusted()
    leave(visitor.page)
    visitor.sign_in(sam.login)
    wrong += look_at(visitor, "trusted-issuers", PAGE)
    assert not wrong, "\n".join(wrong)
    visitor.go(PAGE)
    visitor.page.get_by_text("Decide").first.click()
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.page.get_by_text("Proposed by Ana, confirmed by Sam.").wait_for()
