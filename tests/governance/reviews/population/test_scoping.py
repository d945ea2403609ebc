from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from governance.approvals import approvals
from governance.request_changes import renewal
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import record
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadCampaignOptions, BadScope
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns, scopes
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from governance.reviews.usage import usage
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

DUE = timedelta(days=14)


def begin(
    company: Company, scope: dict[str, Any] | None = None, *, slug: str = "q4", options: CampaignOptions | None = None
) -> Campaign:
    made = campaigns.make(
        slug, name="A", due_at=clock.now() + DUE, scope=scope, options=options or CampaignOptions(), by=company.ana
    )
    return launch.activate(made.pk, by=company.ana)


def when(field: str, op: str, value: object) -> dict[str, object]:
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (when("agent.slug", "in", ["research-bot"]), {"research-bot"}),
        (when("tool.risk", "gte", "critical"), {"research-bot"}),
        (when("tool.risk", "lte", "low"), {"research-bot", "helper"}),
        ({"not": when("tool.risk", "gte", "critical")}, {"helper"}),
        ({"and": [when("tool.name", "has", "now"), when("person", "has", "alice")]}, {"research-bot"}),
        ({"or": [when("person", "has", "bob"), when("tool.action", "has", "delete")]}, {"helper"}),
        (when("grant.age_days", "gte", 30), {"helper"}),
        (when("grant.age_days", "lte", 1), {"research-bot"}),
        (when("grant.expires_in_days", "lte", 1), {"research-bot"}),
        (when("grant.calls_90d", "gte", 5), {"research-bot"}),
        (when("grant.calls_90d", "eq", 0), {"helper"}),
        ({"not": when("grant.calls_90d", "gte", 1)}, {"helper"}),
        ({"not": {"or": [when("grant.calls_90d", "gte", 1), when("person", "has", "bob")]}}, set()),
        (when("agent.owner", "isnull", value=True), set()),
    ],
)
def test_a_condition_takes_in_the_grants_it_says(company: Company, where: dict[str, Any], names: set[str]) -> None:
    grant = worlds.granted(company)
    now = clock.now()
    helper = make.agent("helper", sponsor=company.sofia)
    make.grant(
        helper,
        worlds.low(company),
        people=[company.bob],
        starts_at=now - timedelta(days=40),
        lasts=timedelta(days=80),
    )
    UsageDay.objects.create(
        agent=company.bot,
        grant=grant,
        tool=Tool.objects.get(name="now"),
        day=now.date(),
        calls=5,
        denied=0,
        last_at=now,
    )
    scope = scopes.check({"where": where})
    found = scopes.matching(scope, Campaign.Kind.AGENT_OWNER, now)
    assert set(found.values_list("agent__slug", flat=True)) == names
    if names:
        taken = PopulationRow.objects.filter(campaign=begin(company, {"where": where}))
        assert set(taken.values_list("grant__agent__slug", flat=True)) == names


def test_a_scope_of_departments_takes_in_the_agents_of_their_sponsors(company: Company) -> None:
    grant = worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.otto), worlds.low(company), people=[company.bob])
    make.department("Finance", company.sofia)
    make.department("Sales", company.otto)
    taken = PopulationRow.objects.filter(campaign=begin(company, {"departments": ["Finance"]}))
    assert set(taken.values_list("grant", flat=True)) == {grant.pk}
    owned = begin(company, {"departments": ["Sales"]}, slug="owned", options=CampaignOptions(kind="ownership"))
    assert set(ReviewItem.objects.filter(campaign=owned).values_list("agent__slug", flat=True)) == {"helper"}
    with pytest.raises(BadScope) as refused:
        scopes.check({"departments": ["Finance", "Nowhere", ""]})
    assert refused.value.detail["unknown"] == ["", "Nowhere"]


def test_calls_before_a_renewal_count_and_where_none_are_seen_no_number_is_known(company: Company) -> None:
    asked = company.ask("now")
    approvals.approve(asked.pk, by=company.sofia)
    old, today = Grant.objects.get(request_id=asked.pk), clock.now()
    row = {"agent": company.bot, "grant": old, "tool": Tool.objects.get(name="now"), "last_at": today}
    UsageDay.objects.create(**row, day=today.date(), calls=5, denied=0)
    again = renewal.renew(old.pk, by=company.otto, lasts=timedelta(days=7), reason="still needed")
    approvals.approve(again.pk, by=company.sofia)
    new = Grant.objects.get(request_id=again.pk, ended_at=None)
    past = make.system("elsewhere", kind="mcp")
    make.grant(make.agent("unseen"), make.entitlement(past, make.tool(past)), people=[company.bob])

    def found(where: dict[str, Any]) -> set[str]:
        rows = scopes.matching({"where": where}, Campaign.Kind.AGENT_OWNER, clock.now())
        return set(rows.values_list("agent__slug", flat=True))

    assert found(when("grant.calls_90d", "eq", 0)) == set()
    assert found(when("grant.calls_90d", "gte", 5)) == {"research-bot"}
    assert found({"not": when("grant.calls_90d", "gte", 1)}) == set()
    assert usage.weekly([new.pk], clock.now())[new.pk][-1] == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": when("agent.password", "eq", "x")},
        {"where": when("agent.slug", "gte", "x")},
        {"where": when("agent.slug", "eq", ["x"])},
        {"where": when("agent.slug", "in", "x")},
        {"where": when("grant.age_days", "gte", "30")},
        {"where": when("grant.age_days", "gte", value=True)},
        {"where": when("tool.risk", "gte", "huge")},
        {"where": {"and": []}},
        {"where": {"and": [when("agent.slug", "eq", "x")], "or": []}},
        {"where": {**when("agent.slug", "eq", "x"), "sql": "1=1"}},
        {"where": {"not": {"not": {"not": {"not": {"not": {"not": {"not": when("agent.slug", "eq", "x")}}}}}}}},
        {"where": {"or": [when("agent.slug", "eq", "x")] * 51}},
        {"exclude": [{"where": when("agent.slug", "eq", "x")}]},
        {"exclude": [{"where": when("agent.slug", "eq", "x"), "reason": " "}]},
        {"sql": "true"},
    ],
)
def test_anything_else_is_no_scope(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadScope):
        scopes.check(wrong)


def test_what_is_left_out_stays_in_the_population_with_its_reason(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    out = [{"where": when("person", "has", "bob' OR 1=1 --"), "reason": "never"}]
    out.append({"where": when("agent.slug", "eq", "helper"), "reason": "Reviewed by 100 % of its users."})

    campaign = begin(company, {"exclude": out})

    items = {item.agent_slug: item for item in ReviewItem.objects.filter(campaign=campaign).select_related("agent")}
    assert (items["helper"].state, items["helper"].exclusion_reason) == ("excluded", "Reviewed by 100 % of its users.")
    assert (items["research-bot"].state, campaign.population_rows) == ("in_review", 2)
    assert not Assignment.objects.filter(item=items["helper"]).exists()
    assert {row["outcome"] for row in record.evidence(campaign).rows()} == {"excluded", "in_review"}
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewItem.objects.filter(pk=items["research-bot"].pk).update(state="excluded")


def test_a_campaign_by_system_asks_its_owner_first_and_one_of_privileged_tools_takes_in_no_others(
    company: Company,
) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    by_owner = begin(company, slug="systems", options=CampaignOptions("resource_owner"))
    risky = begin(company, slug="risky", options=CampaignOptions("privileged_tools"))
    first = Assignment.objects.filter(item__campaign=by_owner, stage=1)
    assert set(first.values_list("reviewer__login", flat=True)) == {"sam"}
    assert [item.agent_slug for item in ReviewItem.objects.filter(campaign=risky)] == ["research-bot"]


def test_only_an_unchanged_harmless_item_that_a_person_kept_lately_is_carried_forward(company: Company) -> None:
    worlds.granted(company)
    helper = make.agent("helper", sponsor=company.sofia)
    calm = make.grant(helper, worlds.low(company), people=[company.bob])
    first = begin(company, slug="q1")
    kept = worlds.item(first, helper)
    worlds.answer(first, company.sofia, [(kept, Answer("certify"))])
    delta = CampaignOptions(mode="delta", carry_days=100)
    early = begin(company, slug="early", options=delta)
    assert worlds.item(early, helper).state == "in_review", "until its review is over an answer can be taken back"
    for person in (company.sofia, company.sam):
        worlds.answer(first, person, [(worlds.item(first, company.bot), worlds.KEEP)])
    close.close(first.pk, by=company.ana, reason="All is answered.")

    again = begin(company, slug="q2", options=delta)
    item = worlds.item(again, helper)
    kept.refresh_from_db()
    assert (item.state, item.carried_from_id) == ("carried_forward", kept.current_decision_id)
    assert worlds.item(again, company.bot).state == "in_review"
    assert worlds.item(begin(company, slug="q3"), helper).state == "in_review", "a full one carries nothing"

    calm.lines.update(limits={"x": {"max": 1}})
    assert worlds.item(begin(company, slug="q5", options=delta), helper).state == "in_review"


@pytest.mark.parametrize(
    "options",
    [
        CampaignOptions(mode="delta", framework="sox", carry_days=1),
        CampaignOptions(mode="delta", framework="pci", carry_days=184),
        CampaignOptions(mode="delta"),
        CampaignOptions(carry_days=3),
        CampaignOptions("other"),
    ],
)
def test_what_a_framework_does_not_let_be_carried_is_refused_by_the_verb_and_the_database(
    company: Company, options: CampaignOptions
) -> None:
    worlds.granted(company)
    with pytest.raises(BadCampaignOptions):
        begin(company, options=options)
    if options.kind in Campaign.Kind:
        with pytest.raises(IntegrityError), transaction.atomic():
            Campaign.objects.create(
                slug="x",
                name="x",
                owner=company.ana,
                created_at=clock.now(),
                due_at=clock.now() + DUE,
                mode=options.mode,
                framework=options.framework,
                carry_days=options.carry_days,
            )
