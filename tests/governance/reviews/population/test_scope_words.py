"""A review says what it looks at, on every page from its draft to its evidence, however its scope was written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from governance.reviews.population import campaigns, scope_words, scopes
from governance.reviews.staging import launch
from tests.governance.console import visits
from tests.governance.reviews import worlds

RISKY = {"field": "tool.risk", "op": "gte", "value": "high"}
CI = {"field": "agent.slug", "op": "in", "value": ["ci-bot", "cd-bot"]}
ONE = {"field": "agent.slug", "op": "eq", "value": "ci"}
NOBODY = {"field": "agent.owner", "op": "isnull", "value": True}


@pytest.mark.parametrize(
    ("kind", "scope", "said"),
    [
        ("agent_owner", {}, "All access in force."),
        ("ownership", {}, "All agents that are not retired."),
        ("agent_owner", {"systems": ["crm", "erp"], "where": RISKY},
         "All access in force at crm, erp, with a tool of high risk or above."),
        ("agent_owner", {"where": {"and": [{"field": "grant.age_days", "op": "gte", "value": 30}, {"not": CI}]}},
         "All access in force, older than 30 days, not (agent is one of ci-bot, cd-bot)."),
        ("agent_owner", {"where": {"or": [RISKY, {"and": [ONE, NOBODY]}]}},
         "All access in force, with a tool of high risk or above or (agent is ci and technical owner is not known)."),
        ("micro", {"agents": ["ci-bot"], "where": {"field": "grant.id", "op": "in", "value": ["a", "b"]}},
         "All access in force of ci-bot, 2 accesses that are named."),
    ],
)  # fmt: skip
def test_a_scope_is_said_in_words(kind: str, scope: dict[str, Any], said: str) -> None:
    assert scope_words.sentence(scope, kind) == said


def test_every_field_and_operator_has_words() -> None:
    for name, field in scopes.FIELDS.items():
        for op in field.ops:
            value: Any = ["high"] if op == "in" else True if op == "isnull" else 3
            assert scope_words.condition({"field": name, "op": op, "value": value}), (name, op)


@pytest.mark.django_db
def test_the_pages_of_a_review_say_what_it_looks_at() -> None:
    company, _ = worlds.found()
    scope = {"where": RISKY, "exclude": [{"where": CI, "reason": "They live for an hour."}]}
    made = campaigns.make("q4", name="Q4", due_at=clock.now() + timedelta(days=9), scope=scope, by=company.ana)
    ana = visits.as_(company.ana)
    sentences = ("All access in force, with a tool of high risk or above.", "They live for an hour.")
    draft = visits.text(ana.get("/reviews/q4/", secure=True))
    launch.activate(made.pk, by=company.ana)
    pages = [draft, *(visits.text(ana.get(f"/reviews/q4/{page}", secure=True)) for page in ("settings/", "evidence/"))]
    assert [[each in page for each in sentences] for page in pages] == [[True, True]] * 3
