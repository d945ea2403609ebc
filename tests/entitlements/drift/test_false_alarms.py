"""How often the detectors speak of a fleet in which no one means harm: the numbers in docs/operate/drift.md."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from tests import make

DOCS = Path(__file__).parents[3] / "docs" / "operate" / "drift.md"
MEASURED_AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
AGENTS = 100


@pytest.fixture
def fleet() -> list[Agent]:
    """Make agents named as those of the demo's fleet, each with sessions as its kind has them."""
    sponsor, client = make.person("sponsor"), make.personal_client("fleet")
    agents = Agent.objects.bulk_create(
        Agent(slug=f"fleet-{n:06}", name=f"Agent {n}", kind="shared", sponsor=sponsor) for n in range(AGENTS)
    )
    _sessions(agents, client, sponsor)
    return agents


def _sessions(agents: list[Agent], client: Client, person: Person) -> None:
    now = clock.now()
    begun = [(agent, n, now - timedelta(days=1 + n)) for agent in agents for n in range(5)]
    Session.objects.bulk_create(
        Session(
            agent=agent,
            client=client,
            person=person,
            sign_in_sha256=f"{agent.slug}-{n}",
            started_at=at,
            last_used_at=at,
            expires_at=at + timedelta(hours=12),
        )
        for agent, n, at in begun
    )


@pytest.mark.django_db
def test_the_false_alarms_that_the_documentation_names_were_measured(request: pytest.FixtureRequest) -> None:
    from scripts.demo.data import fleet_usage  # noqa: PLC0415 - it asks for the settings

    clock.set_offset(MEASURED_AT)
    try:
        fleet_usage.fill(request.getfixturevalue("fleet"))
        measured = {rate.detector: (rate.findings, rate.of, rate.per_hundred_weeks) for rate in fleet_usage.rates()}
    finally:
        clock.forget()
    named = re.findall(r"^\| `([a-z-]+-drift)` \| (\d+) \| (\d+) \| ([\d.]+) \|", DOCS.read_text(), re.MULTILINE)
    assert measured == {name: (int(found), int(of), float(rate)) for name, found, of, rate in named}
