"""Findings of agents: the filter of the list and the badges of a row agree."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.people import people
from governance.agents.queries import agents as read
from governance.agents.queries import findings
from governance.blast_radius.models import AgentSummary
from governance.ownership.models import Dormancy
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def summarise(agent: Agent, now: datetime, **found: object) -> None:
    """Store a row in which nothing was found but what is given."""
    numbers = dict.fromkeys(
        ("blast_radius", "weight", "grants", "tools", "privileged", "people", "sod_violations", "changed_tools"), 0
    )
    AgentSummary.objects.create(agent=agent, computed_at=now, **{**numbers, "old_secrets": 0, **found})


def test_each_finding_filters_the_list_as_it_marks_a_row(company: Company) -> None:
    now = clock.now()
    facts: dict[str, dict[str, object]] = {
        "sod": {"sod_violations": 1},
        "changed_tool": {"changed_tools": 2},
        "old_secret": {"old_secrets": 1},
        "unreviewed": {"tools": 1},
        "reviewed-long-ago": {"tools": 1, "reviewed_at": now - findings.UNREVIEWED_AFTER - timedelta(days=1)},
        "reviewed": {"tools": 1, "reviewed_at": now},
        "holds-nothing": {},
    }
    for slug, found in facts.items():
        summarise(make.agent(f"a-{slug}"), now, **found)
    make.agent("a-new")
    Dormancy.objects.create(agent=make.agent("a-dormant"), step=Dormancy.Step.WARNED, since=now)
    left = make.person("left")
    make.agent("a-orphaned", sponsor=left)
    summarise(retired := make.agent("a-retired", sponsor=left), now, sod_violations=1)
    people.disable(left, by=SYSTEM, reason="Gone.")
    Agent.objects.filter(pk=retired.pk).update(status="retired", status_reason="Over.")
    rows = read.listed(Caller(company.ana.principal, person=company.ana, roles=frozenset({"analyst"})))
    shown = {
        agent.slug: findings.of_agent(agent, getattr(agent, "summary", None), now)
        for agent in rows.filter(slug__startswith="a-")
    }
    for key, condition in findings.conditions(now).items():
        label = findings.LABELS[key]
        filtered = set(rows.filter(condition, slug__startswith="a-").values_list("slug", flat=True))
        assert filtered == {slug for slug, labels in shown.items() if label in labels}, key
        assert filtered, key
    assert shown["a-retired"] == shown["a-reviewed"] == shown["a-new"] == []
    assert shown["a-reviewed-long-ago"] == [findings.LABELS["unreviewed"]]


def test_the_riskiest_come_first_and_their_facets_count(company: Company) -> None:
    now = clock.now()
    for slug, radius in (("small", 3), ("big", 91), ("middle", 60)):
        summarise(make.agent(slug), now, blast_radius=radius)
    page = visits.text(visits.as_(company.ana).get("/agents/?sort=-blast_radius"))
    assert page.index("/agents/big/") < page.index("/agents/middle/") < page.index("/agents/small/")
    assert page.index("/agents/small/") < page.index("/agents/research-bot/")
    filtered = visits.text(visits.as_(company.ana).get("/agents/?radius=high"))
    assert "/agents/big/" in filtered
    assert "/agents/middle/" not in filtered
