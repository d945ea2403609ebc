"""Agents of ours and what is seen elsewhere are compared: on a page, by API and in the evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.coverage_map import reconciliation
from tests import make
from tests.entitlements.api import client as api
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def audrey() -> Person:
    """Make an auditor, and an agent of each kind: known here, there, on both sides, and there while retired here."""
    make.agent("here-bot")
    both, gone = make.agent("both-bot"), make.agent("gone-bot")
    now = clock.now()
    for name, agent in (("Both Bot", both), ("Gone Bot", gone), ("Stray", None)):
        UnmanagedAgent.objects.create(
            key=name.lower(),
            name=name,
            agent=agent,
            state="matched" if agent else "unmatched",
            source="identity_provider",
            first_seen_at=now - timedelta(days=3),
            last_seen_at=now,
        )
    agents.retire(gone, by=SYSTEM, reason="No longer needed.")
    return make.person("audrey", roles=["auditor"])


def test_each_agent_is_known_here_there_or_on_both_sides(audrey: Person) -> None:
    said = api.of(audrey).get("/api/v1/unmanaged-agents/compared").json()
    assert said["counts"] == {"both": 1, "here": 1, "there": 2}
    assert [row["agent"] for row in said["both"]] == ["both-bot"]
    assert [row["agent"] for row in said["here"]] == ["here-bot"]
    assert [(row["seen_as"], row["agent"]) for row in said["there"]] == [("Gone Bot", "gone-bot"), ("Stray", "")]
    assert {row["source"] for row in said["both"] + said["there"]} == {"identity_provider"}
    assert all(row["last_seen_at"] for row in said["both"] + said["there"])
    assert api.of(make.person()).get("/api/v1/unmanaged-agents/compared").status_code == 403


def test_the_page_begins_with_what_is_not_known_here(audrey: Person) -> None:
    page = visits.as_(audrey)
    first = visits.text(page.get("/onboarding/compare/"))
    assert "Stray" in first
    assert "Applications of an identity provider" in first
    assert "here-bot" in visits.text(page.get("/onboarding/compare/?known=here"))
    assert page.get("/onboarding/compare/?known=nowhere").status_code == 400
    assert reconciliation.listed("both", 1)[0].known == "both"
