"""The signed receipt of a revocation names its ticket, and its page links it."""

from __future__ import annotations

import pytest

from entitlements.keys import jws
from entitlements.revocation.models import Revocation
from governance.tickets import tickets
from tests import make
from tests.governance.console import visits


@pytest.mark.django_db(transaction=True)
def test_the_signed_receipt_names_the_ticket_and_its_page_links_it() -> None:
    admin, security = make.person(roles=["admin"]), make.security()
    pattern = {"name": "Jira", "expression": r"SEC#\d+", "link": "https://jira.example.com/browse/{ticket}"}
    tickets.change([pattern], {"revocation": "required"}, by=admin, reason="ITSM.")
    stop, browser = f"/stop/agent/{make.agent().slug}/", visits.as_(security)
    assert browser.post(stop, {"reason": "Odd."}).status_code == 422
    page = visits.text(browser.post(stop, {"reason": "Odd.", "ticket": "SEC#12"}, follow=True))
    assert 'href="https://jira.example.com/browse/SEC%2312" rel="noopener noreferrer"' in page
    assert jws.read(Revocation.objects.get().receipt).claims["ticket"] == "SEC#12"
