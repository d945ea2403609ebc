"""The owner of a system on premises proposes its network, and a second person reads it before confirming it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit.context import SYSTEM
from entitlements.people.models import Person, Role
from tests import make
from tests.browser.conftest import PASSWORD, Visitor, leave
from tests.browser.test_gallery import look_at
from tests.entitlements.networks.certificates import Authority

pytestmark = pytest.mark.timeout(300)
PAGE = "/systems/erp/network/"


@pytest.fixture
def people(transactional_db: None) -> list[Person]:  # noqa: ARG001 - the server reads what is committed
    owner = make.person("olga", password=PASSWORD)
    make.system("erp", owner=owner, upstream_url="https://erp.acme.example:8443/mcp")
    return [owner, make.person("sam", roles=[Role.SECURITY], password=PASSWORD)]


def test_a_network_is_proposed_by_the_owner_and_confirmed_by_another(visitor: Visitor, people: list[Person]) -> None:
    from entitlements.catalog.models import System  # noqa: PLC0415 - the product can be imported only now
    from entitlements.networks import certificates  # noqa: PLC0415

    owner, sam = people
    company = Authority("Acme Internal Root CA", ends=timedelta(days=400))
    visitor.sign_in(owner.login)
    visitor.go(PAGE)
    visitor.page.get_by_role("textbox", name="Private networks").fill("10.20.0.0/16\nfd00:1::/64")
    visitor.page.get_by_role("textbox", name="Company CA").fill(company.pem)
    visitor.page.get_by_role("textbox", name="Reason").fill("The ERP runs in the data centre.")
    visitor.page.get_by_role("button", name="Propose").click()
    visitor.page.get_by_text("Waits for a second person").wait_for()

    pair = company.for_client("mandate.acme.example", ends=timedelta(days=20))
    certificates.set_certificate(System.objects.get(slug="erp"), chain=pair.certificate, key=pair.key, by=SYSTEM)
    leave(visitor.page)
    visitor.sign_in(sam.login)
    wrong = look_at(visitor, "network-proposed", PAGE)
    visitor.go(PAGE)
    visitor.page.get_by_role("button", name="Confirm").click()
    visitor.page.get_by_text("Proposed by Olga, confirmed by Sam.").wait_for()
    assert not wrong, "\n".join(wrong)
