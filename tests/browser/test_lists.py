"""A list by keyboard: sorted, narrowed, its columns chosen, rows selected and written to a file, at every width."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entitlements.agents.models import Agent
from tests import make
from tests.browser.conftest import PASSWORD, Visitor, complaints
from tests.governance import companies

pytestmark = [pytest.mark.browser, pytest.mark.loopback]
SHOTS = os.environ.get("MANDATE_SHOTS", "")


@pytest.fixture
def company(transactional_db: None) -> companies.Company:  # noqa: ARG001 - the server reads what is committed
    made = companies.found()
    made.ana.set_password(PASSWORD)
    made.ana.save()
    kinds = ["service", "personal", "shared"]
    names = ["Payroll reconciler", "Invoice reader", "Ticket triage", "Release notes writer", "Vendor lookup"]
    Agent.objects.bulk_create(
        Agent(
            slug=f"agent-{number:03}",
            name=f"{names[number % 5]} {number}",
            purpose="Reads what came in and files it where it belongs, once an hour.",
            kind=kinds[number % 3],
            sponsor=made.sofia if number % 4 else made.sam,
            owner=made.otto if number % 7 else None,
            status="suspended" if number % 11 == 0 else "active",
            status_reason="Odd calls." if number % 11 == 0 else "",
        )
        for number in range(120)
    )
    make.grant(made.bot, made.use, people=[made.alice])
    return made


def shoot(visitor: Visitor, name: str) -> None:
    if SHOTS:
        visitor.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_look(visitor: Visitor, company: companies.Company) -> None:
    visitor.sign_in("ana")
    page = visitor.page
    visitor.go("/agents/")
    shoot(visitor, "agents-1440")
    page.locator("#agents-facet-state").click()
    shoot(visitor, "agents-facet")
    page.locator("#agents-columns").click()
    shoot(visitor, "agents-columns")
    visitor.go("/agents/?state=suspended&q=reader&kind=service")
    page.locator("tbody input[type=checkbox]").first.check()
    shoot(visitor, "agents-chosen")
    visitor.go("/agents/?state=none")
    shoot(visitor, "agents-unknown")
    page.set_viewport_size({"width": 390, "height": 844})
    visitor.go("/agents/")
    shoot(visitor, "agents-390")
    print(complaints(page))
