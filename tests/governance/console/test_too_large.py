"""What the record cannot hold is refused on a page by the same code as by the API, and is no failure of the program."""

from __future__ import annotations

import pytest

from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements.agents import agents
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("error", [BadEvent("70000 bytes"), Unrepresentable("beyond 2^53")])
def test_a_page_says_that_it_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    company = companies.found()

    def fails(*_: object, **__: object) -> None:
        raise error

    agents.suspend(company.bot, by=company.ana.principal, reason="odd")
    monkeypatch.setattr(agents, "_check_answered_for", fails)

    page = visits.as_(company.resa).post("/agents/research-bot/restore/", {"reason": "fine"})

    assert (page.status_code, "not_recordable" in visits.text(page)) == (422, True)
    assert visits.refusals() == [("person:resa", "not_recordable")]
