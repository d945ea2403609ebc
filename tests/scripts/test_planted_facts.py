"""Every fact that the demo's company was planted with is brought up where a person would look for it.

The world is the one that `make demo` fills, made by the same functions; pages are asked for as the person who would
look. A fact that no page brings up is a fault of the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from entitlements.people.models import Person
from governance.operations import invariants
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks import spot_checks
from scripts.demo.data import company
from tests import databases
from tests.scripts import planted

type See = Callable[[str, str], str]
LATE = "12"
"""Nobody seals here after the history."""
WORK = f"/reviews/{company.CAMPAIGN}/work/"


@pytest.fixture(scope="module")
def world(
    django_db_setup: None,  # noqa: ARG001 - the database has to be there
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Plant the company once for all that is looked for in it."""
    with databases.emptied(django_db_blocker):
        planted.fill(planted.archive(tmp_path_factory.mktemp("record")))
        yield


@pytest.fixture
def see(world: None) -> See:  # noqa: ARG001 - it is what is seen
    """Return what a person reads on a page."""

    def read(login: str, address: str) -> str:
        browser = Client()
        browser.force_login(Person.objects.get(login=login))
        answer = browser.get(address)
        assert answer.status_code == 200, f"{login} gets {answer.status_code} of {address}"
        return _words(answer.content.decode())

    return read


def _words(page: str) -> str:
    shown = re.sub(r"<(script|style|svg|select).*?</\1>", " ", page[page.index("<main") :], flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", shown)))


def _row(page: str, agent: str, system: str = "") -> str:
    """Return what a workbench says of one agent, up to the next one's choice."""
    begins = page.index(f"{agent} at {system}")
    return page[begins : page.index("Don't know", begins)]


def _beside(see: See, login: str, agent: str, system: str) -> str:
    """Return the evidence beside an item, which its reviewer looks at before she answers."""
    return see(login, f"/reviews/{company.CAMPAIGN}/items/{_item(agent, system).pk}/")


def _item(agent: str, system: str) -> ReviewItem:
    rows = ReviewItem.objects.filter(campaign__slug=company.CAMPAIGN)
    return rows.get(agent__slug=agent, system__slug=system)


def test_what_was_planted_keeps_the_products_own_invariants(world: None) -> None:  # noqa: ARG001
    assert [(each.invariant.id, each.violations) for each in invariants.check() if each.count] == [
        (each.invariant.id, each.violations) for each in invariants.check(only={LATE}) if each.count
    ]


def test_the_review_is_under_way_with_work_for_many_and_some_of_it_done(see: See) -> None:
    page = see("ana", f"/reviews/{company.CAMPAIGN}/")
    campaign = Campaign.objects.get(slug=company.CAMPAIGN)
    assert not campaign.is_rehearsal
    assert 25 <= ReviewItem.objects.filter(campaign=campaign).count() <= 40
    assert "of 32 items decided" in page
    for name in ("Sofia Marino", "Sam Okafor", "Ines Falk", "Ana Ortiz", "Resa Halim", "Otto Lindqvist", "Tara Quist"):
        assert name in page
    assert re.search(r"Revoked 1 ", page)
    assert "10 items to review" in see("sofia", "/")


def test_nobody_without_a_part_in_it_sees_the_review(world: None) -> None:  # noqa: ARG001
    browser = Client()
    browser.force_login(Person.objects.get(login="mallory"))
    for address in (f"/reviews/{company.CAMPAIGN}/", WORK):
        assert browser.get(address).status_code == 404
    assert company.CAMPAIGN_NAME not in browser.get("/").content.decode()


def test_what_somebody_who_checked_would_have_kept_less_of_waits_for_whoever_runs_reviews(see: See) -> None:
    first = Campaign.objects.get(slug=company.FIRST_CAMPAIGN)
    found = spot_checks.result(first)
    assert found is not None
    assert (found.sampled, found.answered, found.nobody) == (10, 7, 3)
    assert (found.agreement.n, found.agreement.agree) == (7, 6)
    assert "1 of 10 spot checks would keep less" in see("ana", "/")
    page = see("ana", f"/reviews/{company.FIRST_CAMPAIGN}/")
    assert "Tara Quist: Revoke" in page
    assert "It reads what its task does not need." in page
    assert "6 of 7" in page


def test_an_orphan_whose_owner_left_is_on_home_and_on_its_own_page(see: See) -> None:
    assert "Leo's assistant Leo Dumont, its technical owner, has left." in see("ana", "/")
    assert "Technical owner Leo Dumont Disabled" in see("sofia", "/agents/orphan-bot/")


def test_an_orphan_whose_sponsor_left_is_suggested_for_removal_and_an_heir_is_asked(see: See) -> None:
    assert "Filing helper Piet Hol, its sponsor, has left." in see("ana", "/")
    assert re.search("bypasses gateway.* Suggested: Revoke", _row(see("sam", WORK), "Filing helper"))
    assert "The sponsor of the agent left." in _beside(see, "sam", "filing-bot", "suite")
    assert "Tara Quist has not yet accepted the ownership as sponsor" in see("ana", "/agents/filing-bot/")


def test_an_agent_that_nobody_uses_is_asked_about_and_suggested_for_removal(see: See) -> None:
    home = see("sofia", "/")
    for agent in ("Last year's pilot", "Chat pilot"):
        assert f"Is {agent} still needed?" not in home, "an event-triggered review asks about it"
        said = "Your decision also says whether the agent is still needed"
        assert re.search(rf"Dormant agent: {agent} \d items? to review\. {said}", home)
    assert "Is Leo's assistant still needed?" not in home
    assert "An event-triggered review asks you whether it is still needed." in see("sofia", "/agents/stale-bot/")
    assert "Unused Low risk Suggested: Revoke" in _row(see("sofia", WORK), "Chat pilot")
    assert "None of its tools was used in 90 days." in _beside(see, "sofia", "pilot-bot", "desk")


def test_a_limit_far_above_what_is_used_is_proposed_to_be_lowered(see: See) -> None:
    assert re.search("Pay invoices.*640.*50,000.*2,000.*Lower 1 limit", see("ana", "/right-sizing/"))


def test_a_trifecta_stands_on_the_agents_page_and_beside_its_items(see: See) -> None:
    page = see("sofia", "/agents/support-bot/")
    assert "Reads private data, takes in untrusted text and can send data out" in page
    assert "desk/answer_ticket" in page
    for system, name in (("crm", "Customer records"), ("desk", "Help desk")):
        assert "Suggested: Look closer" in _row(see("sofia", WORK), "Support triage", name)
        assert "SoD violation: lethal-trifecta" in _beside(see, "sofia", "support-bot", system)


def test_a_conflict_of_duties_stands_on_the_agents_page_and_beside_its_item(see: See) -> None:
    page = see("ana", "/agents/buyer-bot/")
    assert "Creates vendors and pays them." in page
    assert "erp/create_vendor" in page
    assert "SoD violation: Creates vendors and pays them." in page
    assert "SoD violation: vendor-and-payment" in _beside(see, "ines", "buyer-bot", "erp")
    excepted = see("ana", "/agents/release-bot/")
    assert "Writes code and puts it into operation." in excepted
    assert "An exception allows it. It ends in" in excepted


def test_a_tool_that_grew_is_stopped_and_waits_on_home(see: See) -> None:
    assert "answer_ticket of Help desk Changed, waits for review Medium risk" in see("ana", "/")
    page = see("tara", "/systems/desk/tools/answer_ticket/")
    assert "Changes since the approval" in page
    assert "copy_to" in page
    assert "Changed since it was approved: answer_ticket." in _beside(see, "sofia", "support-bot", "desk")


def test_a_tool_whose_text_changed_is_served_and_waits_on_home_and_in_its_system(see: See) -> None:
    said = "Its text changed; served as approved"
    assert f"find_customer of Customer records {said} Medium risk" in see("ana", "/")
    assert said in see("tara", "/systems/crm/")
    page = see("tara", "/systems/crm/tools/find_customer/")
    assert "Only descriptions changed. Agents get the approved text." in page
    assert "Changed since it was approved: find_customer." in _beside(see, "sofia", "care-bot", "crm")


def test_a_reviewer_who_left_has_a_successor_within_five_minutes_with_the_trace(see: See) -> None:
    for agent, system in (("dunning-bot", "mail"), ("budget-bot", "erp"), ("audit-bot", "erp")):
        old = Assignment.objects.get(item=_item(agent, system), reviewer__login=company.LEAVER)
        new = old.replaced_by
        assert new is not None
        assert new.reviewer is not None
        assert new.reviewer.login == "sam"
        assert new.resolution["skipped"] == [{"who": company.LEAVER, "why": "inactive"}]
        assert old.reviewer is not None
        assert old.reviewer.disabled_at is not None
        assert (new.assigned_at - old.reviewer.disabled_at).total_seconds() <= 300
    assert "Dunning letters at Mailbox" in see("sam", WORK)
    shown = _beside(see, "ana", "dunning-bot", "mail")
    assert "Reviewer: Sam Okafor" in shown
    assert "Not eligible: Nora Feld" in shown
    assert "The reviewer has left." in see("ana", f"/audit/?about=item:{_item('dunning-bot', 'mail').pk}")


def test_temporary_access_stands_on_the_agents_page_while_it_lasts_and_after(see: See) -> None:
    assert "Repair crew: “Deploy” in Delivery ends" in see("otto", "/")
    assert "Deploy Ended in time" in see("ana", "/agents/repair-bot/")
    page = see("ana", f"/reviews/{company.CAMPAIGN}/settings/")
    assert "1 grant ended before the population was frozen Repair crew: Deploy in Delivery" in page


def test_unused_tools_are_counted_and_the_cut_is_replayed(see: See) -> None:
    row = _row(see("sofia", WORK), "Customer care")
    assert "2 / 4 tools" in row
    assert "Suggested: Keep 2 of 4" in row
    beside = _beside(see, "sofia", "care-bot", "crm")
    assert "2 tools were not called in 90 days." in beside
    assert re.search(r"0 of \d+ calls in the 90 days before would have been denied\.", beside)


def test_calls_that_no_access_covers_are_told_beside_the_item(see: See) -> None:
    beside = _beside(see, "sofia", "curious-bot", "crm")
    assert re.search(r"1\d calls were denied because no access covers them\.", beside)


def test_access_that_a_rule_approved_is_due_to_be_looked_at(see: See) -> None:
    assert "Stock list: Read tickets A rule approved this access, and no person has checked it yet." in see("ana", "/")
    assert "No person ever approved it." in _beside(see, "ana", "stock-bot", "desk")


def test_an_old_shared_secret_is_told_beside_the_item(see: See) -> None:
    assert "A shared secret of the agent is older than a year." in _beside(see, "ines", "payroll-bot", "erp")
    assert "Old secret: rotate it" in see("ana", "/agents/payroll-bot/?tab=tokens")


def test_an_item_that_nobody_may_answer_waits_for_a_name_with_who_was_passed_over(see: See) -> None:
    page = see("ana", f"/reviews/{company.CAMPAIGN}/")
    assert "1 item is unassigned" in page
    assert f"1 unassigned item {company.CAMPAIGN_NAME}" in see("ana", "/")
    page = see("ana", f"/reviews/{company.CAMPAIGN}/reviewers/")
    passed_over = "Not eligible: Sam Okafor (self-certification: the agent acts for them)"
    assert f"Sam's inbox at Mailbox Medium risk {passed_over}" in page


def test_what_is_new_since_the_last_review_is_told_and_so_is_what_was_kept_then(see: See) -> None:
    assert "It is new since the last review." in _beside(see, "sofia", "minutes-bot", "mail")
    assert "A person kept it with a reason within a year." in _beside(see, "sofia", "desk-night", "desk")


def test_what_is_suggested_against_is_not_folded_away_as_unchanged(see: See) -> None:
    page = see("sofia", WORK)
    folded = page[page.index("Unchanged since a person kept it") :]
    assert "Ticket summary night at Help desk" in folded
    for agent in ("Support triage", "Chat pilot", "Data explorer"):
        assert f"{agent} at" not in folded


def test_what_was_left_out_says_why_in_the_evidence(see: See) -> None:
    assert "asked at the same time whether it is needed" in see("audrey", f"/reviews/{company.CAMPAIGN}/evidence/")


def test_what_happened_to_an_agent_is_asked_about_on_a_page_of_its_own(see: See) -> None:
    home = see("sofia", "/")
    for said in (
        "A tool changed: Support triage",
        "SoD violation: Support triage",
        "Dormant agent: Chat pilot",
    ):
        assert said in home
    assert "Auto-approved a week ago: Stock list" in see("ana", "/")
    begun = ReviewTrigger.objects.exclude(campaign=None).values_list("kind", "agent__slug")
    left = {agent for kind, agent in begun if kind == "leaver"}
    assert left == {"filing-bot", "budget-bot", "audit-bot", "dunning-bot"}
