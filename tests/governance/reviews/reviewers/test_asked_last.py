"""Where the chain of a review finds nobody: a group is asked, then who runs the review if she wants, else it waits."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.people import people
from entitlements.people.models import Group, Membership, Person
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.routing import ItemPeople, Route
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import answer, review_rules
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import description
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.fallback import FallbackUnfit
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch, preview
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.templates.templates import Recurrence
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
DESK = CampaignOptions(fallback_group="desk")


def group(slug: str, *logins: str) -> Group:
    made = Group.objects.create(slug=slug, name=slug.title())
    for login in logins:
        who = Person.objects.filter(login=login).first() or make.person(login)
        Membership.objects.create(group=made, person=who)
    return made


def orphaned(company: Company, count: int) -> None:
    """Give access that nobody of its chain may answer for: sponsor and security benefit, and there is no manager."""
    Person.objects.filter(pk=company.sofia.pk).update(manager=None)
    system = make.system("own", owner=company.sofia)
    for number in range(count):
        bundle = make.entitlement(system, make.tool(system))
        make.grant(
            make.agent(f"lone-{number}", sponsor=company.sofia, owner=company.otto),
            bundle,
            people=[company.sofia, company.resa, company.rob],
        )


def begun(company: Company, options: CampaignOptions, slug: str = "q4", *, load_cap: int = 120) -> Campaign:
    due = clock.now() + timedelta(days=14)
    made = campaigns.make(slug, name="Fourth quarter", due_at=due, options=options, by=company.ana)
    Campaign.objects.filter(pk=made.pk).update(load_cap=load_cap)
    return launch.activate(made.pk, by=company.ana, acknowledged=True)


def asked(campaign: Campaign) -> list[str | None]:
    rows = Assignment.objects.filter(item__campaign=campaign, state="assigned").order_by("item__number")
    return list(rows.values_list("reviewer__login", flat=True))


def rules(campaign: Campaign) -> set[str]:
    return {each.resolution["rule"] for each in Assignment.objects.filter(item__campaign=campaign)}


def _company() -> Company:
    company = companies.found()
    orphaned(company, 5)
    group("desk", "cora", "bela", "sofia")
    return company


made_world, company = shared.world(_company)


def test_without_a_group_it_waits_visibly_and_with_one_whoever_has_least_is_asked(company: Company) -> None:
    assert asked(begun(company, CampaignOptions())) == [None] * 5
    campaign = begun(company, DESK, "next")
    assert asked(campaign) == ["bela", "cora", "bela", "cora", "bela"]
    trace = worlds.live(ReviewItem.objects.filter(campaign=campaign).earliest("number")).resolution
    assert (trace["rule"], trace["chosen"], trace["engine"]) == ("group:desk", "bela", review_rules.ENGINE)
    assert trace["skipped"] == [{"who": "sofia", "why": "benefits"}]


def test_each_bar_holds_for_the_group_and_each_skip_says_why(company: Company) -> None:
    people.disable(company.named("bela"), by=company.resa.principal, reason="She has left.")
    group("two", "bela", "cora", "bob")
    campaign = begun(company, CampaignOptions(fallback_group="two"), load_cap=2)
    assert asked(campaign) == ["bob", "cora", "bob", "cora", None]
    last = worlds.live(ReviewItem.objects.filter(campaign=campaign).latest("number")).resolution
    assert {skip["who"]: skip["why"] for skip in last["skipped"]} == {
        "sofia": "benefits",
        "bela": "inactive",
        "bob": "has_enough_to_review",
        "cora": "has_enough_to_review",
    }


def test_a_member_who_could_not_judge_is_not_asked_again_and_who_answered_one_stage_never_the_other(
    company: Company,
) -> None:
    campaign = begun(company, CampaignOptions(fallback_group="desk", strategies={"low": "any_deny_denies"}))
    first = ReviewItem.objects.filter(campaign=campaign).earliest("number")
    dunno = answer.Answer("abstain", "need_info")
    worlds.answer(campaign, company.named("bela"), [(first, dunno)])
    assert worlds.live(first).reviewer == company.named("cora")
    worlds.answer(campaign, company.named("cora"), [(first, worlds.KEEP)])
    second = worlds.live(first)
    assert (second.stage, second.reviewer, second.resolution["rule"]) == (2, company.named("bela"), "group:desk")
    assert {"who": "cora", "why": "answered_another_stage"} in second.resolution["skipped"]


def test_a_leaver_s_items_go_to_who_has_least_of_the_group(company: Company) -> None:
    group("three", "dora", "bela", "cora")
    campaign = begun(company, CampaignOptions(fallback_group="three"))
    assert Counter(asked(campaign)) == {"bela": 2, "cora": 2, "dora": 1}
    people.disable(company.named("bela"), by=company.resa.principal, reason="She has left.")
    assignment.reassign_leavers()
    assert Counter(asked(campaign)) == {"cora": 3, "dora": 2}


def test_who_runs_it_is_asked_last_only_where_she_wants(company: Company) -> None:
    assert asked(begun(company, CampaignOptions(asks_owner=True))) == ["ana"] * 5
    assert rules(Campaign.objects.get()) == {"campaign_owner"}
    people.disable(company.ana, by=company.resa.principal, reason="She has left.")
    assignment.reassign_leavers()
    assert set(asked(Campaign.objects.get())) == {None}
    (trace,) = {str(worlds.live(each).resolution["skipped"]) for each in ReviewItem.objects.all()}
    assert "{'who': 'ana', 'why': 'inactive'}" in trace


def test_a_group_that_became_too_small_is_not_asked_and_the_trace_says_so(company: Company) -> None:
    due = clock.now() + timedelta(days=14)
    made = campaigns.make(
        "q4", name="Q4", due_at=due, options=CampaignOptions(fallback_group="desk", asks_owner=True), by=company.ana
    )
    Membership.objects.filter(person__login__in=["cora", "sofia"]).delete()
    campaign = launch.activate(made.pk, by=company.ana)
    assert asked(campaign) == ["ana"] * 5
    trace = worlds.live(ReviewItem.objects.filter(campaign=campaign).earliest("number")).resolution
    assert {"who": "group:desk", "why": "fewer_than_two_people"} in trace["skipped"]
    page = visits.text(visits.as_(company.ana).get(f"/reviews/q4/items/{ReviewItem.objects.earliest('number').pk}/"))
    assert "the group Desk (has fewer than two active members)" in page
    assert "owner of the review, as fallback reviewer" in page


@pytest.mark.parametrize("members", [(), ("bela",), ("bela", "gone"), ("bela", "bela2")])
def test_a_group_without_two_people_is_refused_by_verb_page_rest_and_database(
    company: Company, members: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = group("small", *members)
    Person.objects.filter(login="gone").update(is_active=False, disabled_at=clock.now())
    Person.objects.filter(login__startswith="bela").update(email="Bela@company.example")
    Person.objects.filter(login="bela2").update(email="bela+2@Company.example.")
    due, options = clock.now() + timedelta(days=14), CampaignOptions(fallback_group="small")
    with pytest.raises(FallbackUnfit):
        campaigns.make("q4", name="Q4", due_at=due, options=options, by=company.ana)
    for largest in (preview.LARGEST, 0):
        monkeypatch.setattr(preview, "LARGEST", largest)
        with pytest.raises(FallbackUnfit):
            preview.preview({}, options, by=company.ana)
    with pytest.raises(FallbackUnfit):
        templates.save("q4", name="Q4", options=options, by=company.ana)
    for named in ("small", "nobody"):
        body = {"slug": "q4", "name": "Q4", "due_at": due.isoformat(), "fallback_group": named}
        refused = api.of(company.ana).post("/api/v1/campaigns", body)
        assert (refused.status_code, refused.json()["code"]) == (422, "fallback_group_unfit")
    page = visits.as_(company.ana).post(
        "/reviews/new/", {"name": "Q4", "due": f"{due:%Y-%m-%d}", "fallback_group": "small"}
    )
    assert "fallback_group_unfit" in visits.text(page)
    made = campaigns.make("plain", name="Q4", due_at=due, by=company.ana)
    held = templates.save("plain", name="Q4", by=company.ana)
    for row in (Campaign.objects.filter(pk=made.pk), CampaignTemplate.objects.filter(pk=held.pk)):
        with pytest.raises(DatabaseError, match="at least two people"), transaction.atomic():
            row.update(fallback_group=small)


def test_who_is_asked_last_is_fixed_once_a_campaign_began(company: Company) -> None:
    campaign = begun(company, DESK)
    for change in ({"fallback_group": None}, {"asks_owner": True}):
        with pytest.raises(DatabaseError, match="fixed when a campaign begins"), transaction.atomic():
            Campaign.objects.filter(pk=campaign.pk).update(**change)


def test_it_is_said_on_the_page_by_rest_in_the_record_and_in_the_evidence(company: Company) -> None:
    due = (clock.now() + timedelta(days=14)).isoformat()
    body = {"slug": "q4", "name": "Q4", "due_at": due, "fallback_group": "desk", "asks_owner": True}
    ana = api.of(company.ana)
    made = ana.post("/api/v1/campaigns", body).json()
    assert (made["fallback_group"], made["asks_owner"]) == ("desk", True)
    page = " ".join(visits.text(visits.as_(company.ana).get("/reviews/q4/settings/")).split())
    assert "the member of Desk with the fewest items" in page
    assert f"Then {company.ana.name}, the owner of this review." in page
    told = timeline.about("campaign:q4").get(action=Action.CAMPAIGN_MADE).detail
    assert (told["fallback_group"], told["asks_owner"]) == ("desk", True)
    plain = ana.post("/api/v1/campaigns", {"slug": "plain", "name": "Q4", "due_at": due}).json()
    assert (plain["fallback_group"], plain["asks_owner"]) == ("", False)
    campaign = launch.activate(Campaign.objects.get(slug="q4").pk, by=company.ana)
    said = description.scope(campaign)
    assert (said["fallback_group"], said["asks_owner"]) == ("desk", True)
    assert (
        "whoever of the group desk has least, then the owner of the review"
        in description.control(campaign, said).decode()
    )


def test_a_preview_counts_them_by_page_and_rest(company: Company) -> None:
    seen = preview.preview({}, DESK, by=company.ana)
    assert ({load.login: load.items for load in seen.loads}, seen.unresolved) == ({"bela": 3, "cora": 2}, 0)
    told = api.of(company.ana).post("/api/v1/campaigns/preview", {"fallback_group": "desk"}).json()
    assert {each["login"]: each["items"] for each in told["reviewers"]} == {"bela": 3, "cora": 2}
    told = api.of(company.ana).post("/api/v1/campaigns/preview", {"asks_owner": True}).json()
    assert {each["login"]: each["items"] for each in told["reviewers"]} == {"ana": 5}
    form = {
        "name": "Q4",
        "due": f"{clock.now() + timedelta(days=9):%Y-%m-%d}",
        "fallback_group": "desk",
        "preview": "yes",
    }
    page = visits.text(visits.as_(company.ana).post("/reviews/new/", form))
    assert company.named("bela").name in page
    assert 'value="Desk"' in page


def test_a_template_keeps_changes_and_hands_on_who_is_asked_last(company: Company) -> None:
    ana, page = api.of(company.ana), visits.as_(company.ana)
    form = {"name": "Desk", "due": f"{clock.now() + timedelta(days=9):%Y-%m-%d}", "fallback_group": "desk"}
    assert page.post("/reviews/new/", {**form, "asks_owner": "yes", "do": "save-template"}).status_code == 302
    held = ana.get("/api/v1/campaign-templates/desk")
    assert (held.json()["fallback_group"], held.json()["asks_owner"]) == ("desk", True)
    started = templates.start("desk", by=company.ana)
    again = templates.duplicate(started, "again", name="Again", due_at=started.due_at, by=company.ana)
    assert {(each.fallback_group.slug, each.asks_owner) for each in (started, again) if each.fallback_group} == {
        ("desk", True)
    }
    address, version = "/api/v1/campaign-templates/desk", {"if-match": held["ETag"]}
    changed = ana.patch(address, {"days": 9}, headers=version)
    assert (changed.json()["fallback_group"], changed.json()["asks_owner"]) == ("desk", True)
    shown = visits.text(page.get("/reviews/templates/desk/edit/"))
    assert ('value="Desk"' in shown, 'name="asks_owner" value="yes" checked' in shown) == (True, True)
    none = {"name": "Desk", "version": "2", "days": "9", "kind": "agent_owner", "fallback_group": ""}
    assert page.post("/reviews/templates/desk/edit/", none).status_code == 302
    kept = CampaignTemplate.objects.get()
    assert (kept.fallback_group, kept.asks_owner) == (None, False)


def test_a_template_whose_group_became_too_small_says_so_and_makes_nothing(company: Company) -> None:
    templates.save("x", name="X", options=DESK, recurrence=Recurrence("monthly", clock.now().date()), by=company.ana)
    Membership.objects.filter(person__login__in=["cora", "sofia"]).delete()
    assert templates.launch_due() == 0
    assert CampaignTemplate.objects.get().refused == FallbackUnfit.code


def test_a_reviewer_may_hand_an_item_on_to_the_group_and_to_who_runs_it(company: Company) -> None:
    campaign = begun(company, CampaignOptions(fallback_group="desk", asks_owner=True))
    first = ReviewItem.objects.filter(campaign=campaign).earliest("number")
    assert [each.login for each in assignment.successors(first.pk, by=company.named("bela"))] == ["ana", "cora"]
    assignment.hand_on(first.pk, company.named("cora"), by=company.named("bela"), reason="She knows it.")
    assert worlds.live(first).reviewer == company.named("cora")


def test_whom_the_chain_comes_to_is_found_once_for_the_same_people(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, reviewers = list[ItemPeople](), routing.reviewers

    def counted(people: ItemPeople) -> Route:
        found.append(people)
        return reviewers(people)

    monkeypatch.setattr(routing, "reviewers", counted)
    campaign = begun(company, DESK)
    assert (len(found), Counter(asked(campaign))) == (1, {"bela": 3, "cora": 2})
