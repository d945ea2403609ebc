"""What approving would mean: read before anybody answers, naming only what the reader may see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from audit import clock
from entitlements.access import caller as callers
from entitlements.grants.models import Grant
from governance.agents import summaries
from governance.approvals import approvals
from governance.blast_radius import blast_radius, preview
from governance.charts import figures
from governance.request_changes import renewal
from governance.requests import requests
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_it_grows_by_what_is_kept_and_by_nothing_else(company: Company) -> None:
    asked = company.ask("now", "convert")
    sofia = callers.of(company.sofia)
    both = preview.outlook_of(asked, ["now", "convert"], sofia)
    assert (both.before, both.after) == (0, blast_radius.score([1, 1]))
    assert [(term.tool and term.tool.name, term.added) for term in both.biggest] == [("convert", True), ("now", True)]
    assert preview.outlook_of(asked, ["now"], sofia).after == blast_radius.score([1])
    assert preview.outlook_of(asked, ["wipe"], sofia).after == 0


def test_what_it_holds_already_counts_and_so_do_the_people_and_who_watches(company: Company) -> None:
    make.grant(company.bot, make.entitlement(make.system(), make.tool(make.system())), people=[company.alice])
    asked = company.ask("now", people=[company.alice, company.bob])
    found = preview.outlook_of(asked, ["now"], callers.of(company.sofia))
    assert (found.before, found.after) == (blast_radius.score([1]), blast_radius.score([1, 2]))


def test_a_grant_that_ended_or_is_over_weighs_nothing(company: Company) -> None:
    over = make.grant(company.bot, people=[company.alice])
    Grant.objects.filter(pk=over.pk).update(
        starts_at=clock.now() - timedelta(hours=2), expires_at=clock.now() - timedelta(hours=1)
    )
    assert preview.outlook_of(company.ask("now"), ["now"], callers.of(company.sofia)).before == 0


def test_what_a_renewal_takes_over_is_counted_once(company: Company) -> None:
    old = company.ask("now", "convert")
    approvals.approve(old.pk, by=company.sofia)
    grant = Grant.objects.get(request_id=old.pk)
    asked = renewal.renew(grant.pk, by=company.otto, lasts=timedelta(days=7), reason="still needed")
    found = preview.outlook_of(asked, ["now"], callers.of(company.sofia))
    assert (found.before, found.after) == (blast_radius.score([1, 1]), blast_radius.score([1]))
    assert [term.added for term in found.biggest] == [True]


@pytest.mark.parametrize("is_quick", [True, False])
def test_its_place_is_among_all_agents_that_hold_access(
    company: Company, monkeypatch: pytest.MonkeyPatch, *, is_quick: bool
) -> None:
    monkeypatch.setattr(figures, "is_quick", lambda _model: is_quick)
    make.grant(make.agent(kind="service"), make.entitlement(make.system(), make.tool(make.system(), action="delete")))
    make.grant(make.agent(), make.entitlement(make.system(), make.tool(make.system())), people=[company.bob])
    summaries.refresh_due()
    found = preview.outlook_of(company.ask("now", "convert"), ["now", "convert"], callers.of(company.sofia))
    assert (found.rank, found.agents) == (2, 3)


def test_a_system_owner_reads_no_tool_of_systems_that_are_not_theirs(company: Company) -> None:
    elsewhere = make.tool(make.system("payroll"), action="delete", data_class="restricted")
    make.grant(company.bot, make.entitlement(elsewhere.system, elsewhere), people=[company.alice])
    asked = company.ask("now")
    assert preview.outlook_of(asked, ["now"], callers.of(company.sofia)).biggest[0].tool == elsewhere
    assert preview.outlook_of(asked, ["now"], callers.of(company.sam)).biggest[0].tool is None


def test_other_holders_and_the_like_before_are_those_that_the_reader_sees(company: Company) -> None:
    other = make.agent("other-bot")
    make.grant(other, company.use, people=[company.bob])
    before = company.ask("now")
    approvals.deny(before.pk, by=company.sofia, reason="Not now.")
    again = company.ask("now")
    seen = preview.outlook_of(again, ["now"], callers.of(company.sam))
    assert [agent.slug for agent in seen.holders] == ["other-bot"]
    assert seen.outcomes == {"denied": 1}
    assert preview.outlook_of(again, ["now"], callers.of(company.sofia)).holders == ()


def test_it_costs_as_many_queries_for_many_agents_as_for_one(
    company: Company, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        make.grant(make.agent(), company.use, people=[company.bob])
    asked, ana = company.ask("now", "convert"), callers.of(company.ana)
    with django_assert_max_num_queries(14):
        preview.outlook_of(asked, ["now"], ana)


def test_over_rest_whoever_sees_the_request_reads_it_and_others_do_not_find_it(company: Company) -> None:
    asked = company.ask("now", "convert")
    url = f"/api/v1/requests/{asked.pk}/preview"
    assert client.of(company.sofia).get(url).json() == {
        "before": 0,
        "after": blast_radius.score([1, 1]),
        "rank": 1,
        "agents": 1,
        "biggest": [
            {"tool": "convert", "system": "clock", "weight": 1.0, "added": True},
            {"tool": "now", "system": "clock", "weight": 1.0, "added": True},
        ],
        "holders": [],
        "outcomes": {},
    }
    assert client.of(company.sofia).get(f"{url}?tools=now").json()["after"] == blast_radius.score([1])
    assert client.of(company.mallory).get(url).status_code == 404


def test_the_page_says_it_to_whoever_answers_and_counts_anew_without_answering(company: Company) -> None:
    asked = company.ask("now", "convert")
    browser = visits.as_(company.sofia)
    shown = visits.text(browser.get(f"/requests/{asked.pk}/"))
    assert f"0 now, {blast_radius.score([1, 1])} after" in shown
    assert "Approve 2 of 2 tools for 8 hours</button>" in shown
    form = {"verb": "look", "version": asked.version, "tool": ["now"], "lasts": "3600", "limit:now:x": ""}
    again = browser.post(f"/requests/{asked.pk}/", form)
    assert (again.status_code, f"0 now, {blast_radius.score([1])} after" in visits.text(again)) == (200, True)
    assert "Approve 1 of 2 tools for 1 hour</button>" in visits.text(again)
    part = visits.text(browser.post(f"/requests/{asked.pk}/", form, headers={"HX-Request": "true"}))
    assert ("<html" in part, "Not yet." in part, "Low risk" in part) == (False, False, True)
    assert "1 tool at once" in part
    asked.refresh_from_db()
    assert (asked.version, asked.state) == (1, "in_approval")
    assert "After approval" not in visits.text(visits.as_(company.otto).get(f"/requests/{asked.pk}/"))
    own = visits.text(visits.as_(company.otto).get(f"/requests/{asked.pk}/"))
    assert "You cannot approve this request because you made it." in own
    requests.cancel(asked.pk, company.otto)
    assert "After approval" not in visits.text(browser.get(f"/requests/{asked.pk}/"))
