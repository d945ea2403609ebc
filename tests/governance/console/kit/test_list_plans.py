"""Lists at the size of a fleet: pages are read by an index of their order, estimates by one plan, files by values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model, Q
from django.test.utils import CaptureQueriesContext

from audit import clock
from entitlements.access import caller as callers
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from governance.agents.pages import agent_list
from governance.agents.queries import agents, findings
from governance.blast_radius.models import AgentSummary
from governance.console.kit.lists import counts
from governance.console.kit.lists.layout import Layout, value_of
from governance.grants import queries as grants
from governance.grants.pages import grant_list
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE_AND_ONE = "LIMIT 51"
"""What the statement ends with that finds a page of these lists."""


def built() -> Company:
    """Make a company with grants of each kind, and agents with findings and without."""
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice, company.bob])
    make.grant(make.agent("teamwork"), company.use, groups=[make.group(company.alice)])
    make.grant(make.agent("alone", kind="service"), make.entitlement(company.system))
    left = make.person("left")
    make.agent("orphaned", sponsor=left)
    type(left).objects.filter(pk=left.pk).update(is_active=False, disabled_at=clock.now())
    numbers = dict.fromkeys(("weight", "grants", "tools", "privileged", "people", "changed_tools", "old_secrets"), 0)
    AgentSummary.objects.create(
        agent=company.bot, computed_at=clock.now(), **{**numbers, "blast_radius": 9, "sod_violations": 2, "tools": 1}
    )
    return company


made_world, company = shared.world(built)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize(
    "address",
    [
        *("/agents/", "/agents/?sort=-agent", "/agents/?sort=-added", "/agents/?sort=slug", "/agents/?sort=sponsor"),
        *("/agents/?sort=-owner", "/agents/?sort=-blast_radius", "/agents/?sort=-used"),
        *("/grants/", "/grants/?sort=expires", "/grants/?sort=-expires"),
        *("/audit/", "/audit/?sort=at", "/audit/?from=2026-01-01&to=2099-01-01", "/audit/?outcome=refused"),
        *("/audit/?code=forbidden", "/audit/?ticket=any", "/audit/?q=words"),
        *("/decisions/who-can/?tool=clock/now", "/decisions/who-can/?entitlement=clock:use"),
    ],
)
def test_a_page_is_read_by_an_index_of_its_order_and_never_by_sorting_all_rows(company: Company, address: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert visits.as_(company.ana).get(address).status_code == 200
    found = next(each["sql"] for each in asked if each["sql"].endswith(PAGE_AND_ONE) and "ORDER BY" in each["sql"])
    with connection.cursor() as cursor:
        # What a large table decides by itself: with few rows, reading and sorting them all costs the least.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(
            "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off"
        )
        cursor.execute(f"EXPLAIN (FORMAT json) {found}")
        (plan,) = cursor.fetchone()
    kinds = [each["Node Type"] for each in nodes(plan[0]["Plan"])]
    assert not {"Sort", "Seq Scan"} & {*kinds}, kinds
    assert any(kind.startswith("Index") for kind in kinds)


@pytest.mark.parametrize(
    "query",
    [
        *("", "sort=at", "lane=review&lane=admin", "action=grant.revoked", "outcome=refused", "code=forbidden"),
        *("ticket=none&lane=call", "q=words", "about=system:clock", "about=trace:" + "a" * 32, "actor=sofia"),
        *("agent=research-bot&from=2026-01-01", "system=clock&outcome=failure"),
        "about=event:00000000-0000-4000-8000-000000000001",
    ],
)
def test_no_statement_of_the_audit_log_reads_all_events(
    company: Company, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MOST", 1)  # as where there are many: what is counted exactly is few
    with CaptureQueriesContext(connection) as asked:
        assert visits.as_(company.ana).get(f"/audit/?{query}").status_code == 200
    reads = [each["sql"] for each in asked if '"events"' in each["sql"] and not each["sql"].startswith("EXPLAIN")]
    assert reads
    for sql in reads:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN (FORMAT json) {sql}")
            (plan,) = cursor.fetchone()
        read = [*nodes(plan[0]["Plan"])]
        assert "Seq Scan" not in {each["Node Type"] for each in read}, sql
        assert "LIMIT" in sql or "IN (" in sql, "all rows are read"
        if "LATERAL" in sql:  # those of each value come in order, and only as many as a page has are sorted
            assert "Sort" not in {each["Node Type"] for each in nodes(_inner(read))}, sql


def _inner(read: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is read for each value."""
    joined: dict[str, Any] = next(each for each in read if each["Node Type"] == "Nested Loop")["Plans"][1]
    return joined


def test_an_order_by_who_answers_for_an_agent_joins_nothing_else(company: Company) -> None:
    with CaptureQueriesContext(connection) as asked:
        visits.as_(company.ana).get("/agents/")
    found = next(each["sql"] for each in asked if each["sql"].endswith(PAGE_AND_ONE) and "ORDER BY" in each["sql"])
    assert "entitlements_person" not in found


@pytest.mark.parametrize("system", ["", "clock"])
def test_estimates_of_all_values_are_the_plans_of_each_and_cost_one_statement(company: Company, system: str) -> None:
    rows = agents.listed(callers.of(company.ana))
    rows = agents.with_access_to(rows, system) if system else rows
    conditions = [Q(status="active"), Q(kind="service"), *findings.conditions(clock.now()).values(), Q(pk__in=())]
    with CaptureQueriesContext(connection) as asked:
        total, *guesses = counts._estimates(rows, conditions)
    assert len(asked) == 1
    alone = [json.loads(rows.filter(each).order_by().values("pk").explain(format="json")) for each in conditions[:-1]]
    assert guesses[:-1] == [_digits(plan[0]["Plan"]["Plan Rows"]) for plan in alone]
    assert guesses[-1] <= 1
    whole = json.loads(rows.order_by().values("pk").explain(format="json"))
    assert total == _digits(whole[0]["Plan"]["Plan Rows"])


def _digits(number: int) -> int:
    """Round an estimate to the three digits that are shown."""
    return round(number, 3 - len(str(number)))


@pytest.mark.parametrize(
    ("layout", "listed", "model"),
    [(agent_list.LAYOUT, agents.listed, Agent), (grant_list.LAYOUT, grants.listed, Grant)],
    ids=["agents", "grants"],
)
def test_a_file_holds_what_the_rows_say_without_making_rows(
    company: Company, layout: Layout[Any, Any], listed: Callable[[Caller], Any], model: type[Model]
) -> None:
    names = [column.name for column in layout.columns if column.name != "review"]
    with CaptureQueriesContext(connection) as asked:
        answer: Any = visits.as_(company.ana).get(
            f"/{layout.name}/", {"columns": ",".join(names), "export": "jsonl", "sort": layout.order}
        )
        lines = [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]
    computed = [column for column in layout.columns if column.stored]
    assert len(computed) == len([column for column in layout.columns if callable(column.value)]) > 0
    key = {"agents": "slug", "grants": "id"}[layout.name]
    rows = {str(getattr(row, layout.key)): row for row in listed(callers.of(company.ana))}
    assert len(lines) == len(rows) > 2
    for column in computed:
        shown = {name: value_of(row, column.value) for name, row in rows.items()}
        assert {line[key]: line[column.name] for line in lines} == shown
        assert len({*shown.values()}) > 1
    assert not [each["sql"] for each in asked if f'{model._meta.db_table}"."version"' in each["sql"]]


def test_the_grants_of_what_a_text_names_are_the_same_for_few_and_many(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = grants.listed(callers.of(company.ana))
    for text in ("research", "teamwork", company.use.name[:5], "nothing of that name"):
        few = {*grants.named(rows, text)}
        monkeypatch.setattr(grants, "_FEW", 0)
        assert {*grants.named(rows, text)} == few
        monkeypatch.undo()
        assert bool(few) == (not text.startswith("nothing"))
