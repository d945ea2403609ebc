from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.agents.models import AgentVersion
from entitlements.catalog.models import Tool, ToolVersion
from entitlements.grants.models import Grant, GrantLine
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.suggestions import changes_since
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


@snapshots.restored
def _kept_before() -> tuple[Company, Grant]:
    """Make a company in which a person kept one harmless access in an earlier review."""
    company = companies.found()
    grant = make.grant(company.bot, worlds.low(company), people=[company.alice])
    first = worlds.campaign(company, slug="q3")
    worlds.answer(first, company.sofia, [(worlds.item(first), worlds.KEEP)])
    return company, grant


def _now(company: Company) -> ReviewItem:
    return worlds.item(worlds.campaign(company))


def test_what_a_person_kept_and_nothing_changed_is_the_same() -> None:
    company, _ = _kept_before()
    item = _now(company)
    since = changes_since.compare(item)
    assert since is not None
    assert (since.added, since.removed, since.changed, since.facts) == ((), (), (), ())
    assert since.decision.verb == "certify"
    assert changes_since.unchanged([item.pk]) == {item.pk}


def test_what_nobody_kept_before_is_compared_with_nothing() -> None:
    company, _ = worlds.found()
    item = _now(company)
    assert changes_since.compare(item) is None
    assert changes_since.unchanged([item.pk]) == set()


def test_a_line_added_and_one_limited_anew_are_named() -> None:
    company, grant = _kept_before()
    more = make.tool(company.system, "wipe_all", risk="low")
    GrantLine.objects.filter(grant=grant).update(limits={"zone": {"one_of": ["UTC"]}})
    GrantLine.objects.create(grant=grant, tool=more)
    item = _now(company)
    since = changes_since.compare(item)
    assert since is not None
    assert [line.tool for line in since.added] == ["wipe_all"]
    assert [(line.has_new_limits, line.is_redefined) for line in since.changed] == [(True, False)]
    assert changes_since.unchanged([item.pk]) == set()


def test_a_cut_is_what_the_next_review_begins_from() -> None:
    company, grant = worlds.found()
    first = worlds.campaign(company, slug="q3")
    item = worlds.item(first)
    lines = {line.tool.name: line.pk for line in item.lines.select_related("tool")}
    some = Answer("reduce", "unused", kept=(lines["now"], lines["convert"]))
    worlds.answer(first, company.sofia, [(item, some)])
    worlds.answer(first, company.sam, [(item, worlds.KEEP)])
    assert grant.lines.count() == 2
    since = changes_since.compare(_now(company))
    assert since is not None
    assert (since.added, since.removed) == ((), ())


def test_another_sponsor_and_other_people_are_named() -> None:
    company, _ = _kept_before()
    company.bot.sponsor = company.mona
    company.bot.save()
    since = changes_since.compare(_now(company))
    assert since is not None
    assert since.facts == (("sponsor", "sofia", "mona"),)


def test_another_definition_is_told_apart() -> None:
    company, grant = _kept_before()
    raw, now = {"name": "x", "description": "Does more.", "inputSchema": {"type": "object"}}, clock.now()
    tool = Tool.objects.get(pk=grant.lines.get().tool_id)
    tool.approved = tool.seen = ToolVersion.objects.create(
        tool=tool, definition=raw, sha256="a" * 64, seen_at=now, approved_at=now
    )
    tool.save()
    since = changes_since.compare(_now(company))
    assert since is not None
    assert [line.is_redefined for line in since.changed] == [True]


def test_another_model_than_when_it_was_kept_is_named_once_it_is_reported() -> None:
    company, _ = _kept_before()
    then, now = clock.now() - timedelta(days=1), clock.now()
    for model, at in (("small-1", then), ("small-2", now)):
        AgentVersion.objects.create(agent=company.bot, model=model, source="ci", reported_at=at, reported_by="ci")
    since = changes_since.compare(_now(company))
    assert since is not None
    assert since.facts == (("model", "small-1", "small-2"),)
    page = visits.text(
        visits.as_(company.sofia).get(f"/reviews/q4/items/{ReviewItem.objects.get(campaign__slug='q4').pk}/")
    )
    assert ("Model" in page, "<del>small-1</del>" in page, "<ins>small-2</ins>" in page) == (True, True, True)
