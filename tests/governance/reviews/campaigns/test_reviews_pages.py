from __future__ import annotations

import json
from datetime import timedelta
from importlib import import_module

import pytest

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people.models import Role
from governance.reviews.campaigns import sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_an_analyst_makes_begins_and_closes_a_review_on_its_pages(company: Company) -> None:
    worlds.granted(company)
    ana = visits.as_(company.ana)
    assert "Draft the first one" in visits.text(ana.get("/reviews/", secure=True))
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    made = ana.post("/reviews/new/", {"name": "Fourth quarter", "due": due, "system": "clock"}, secure=True)
    assert made["Location"] == "/reviews/fourth-quarter/"
    assert "Launch checks" in visits.text(ana.get(made["Location"], secure=True))
    ana.post("/reviews/fourth-quarter/activate/", secure=True)
    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.scope) == ("active", {"systems": ["clock"]})
    refused = ana.post("/reviews/fourth-quarter/close/", {"reason": "done"}, secure=True)
    assert (refused.status_code, "items_without_outcome" in visits.text(refused)) == (409, True)
    box = "Close them without a decision"
    other = visits.text(visits.as_(make.analyst("bea")).get("/reviews/fourth-quarter/", secure=True))
    assert box in visits.text(ana.get("/reviews/fourth-quarter/", secure=True))
    assert box not in other
    assert "Only Ana, the owner of this review" in other
    Campaign.objects.update(due_at=campaign.created_at + timedelta(milliseconds=1))
    ana.post("/reviews/fourth-quarter/close/", {"reason": "done", "without_answer": "yes"}, secure=True)
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    listed = visits.text(ana.get("/reviews/", secure=True))
    assert ("Closed late" in listed, "Late" in listed) == (True, False)


@pytest.mark.parametrize("wrong", [{"name": "***"}, {"due": "yesterday"}, {"due": "2020-01-01"}, {"system": "none"}])
def test_a_review_that_cannot_be_made_says_why_and_keeps_the_form(company: Company, wrong: dict[str, str]) -> None:
    worlds.granted(company)
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    answer = visits.as_(company.ana).post("/reviews/new/", {"name": "Fine", "due": due, **wrong}, secure=True)
    assert answer.status_code == 200
    assert 'role="alert"' in visits.text(answer)
    assert not Campaign.objects.exists()


def test_a_reviewer_works_without_script(company: Company) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    sofia = visits.as_(company.sofia)
    page = visits.text(sofia.get("/reviews/q4/work/", secure=True))
    assert ("Keep" in page, "Revoke" in page, "research-bot" in page) == (True, True, True)
    form = {"item": str(item.pk), f"rev:{item.pk}": "0", f"verb:{item.pk}": "revoke", f"reason:{item.pk}": "unused"}

    assert sofia.post("/reviews/q4/work/", {**form, "submit": "yes"}, secure=True)["Location"] == "/reviews/q4/submit/"

    summary = sofia.get("/reviews/q4/submit/", secure=True)
    assert "Keep 0, revoke 1" in visits.text(summary)
    sofia.post("/reviews/q4/submit/", {"tag": summary.context["tag"]}, secure=True)
    grant.refresh_from_db()
    decision = ReviewDecision.objects.get()
    assert (grant.state, decision.via, decision.amr) == ("suspended", "ui", ["password"])
    assert "You have decided all items" in visits.text(sofia.get("/reviews/q4/work/", secure=True))


def test_a_reviewer_keeps_some_without_script_and_takes_it_back(company: Company) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    lines = {line.tool.name: str(line.pk) for line in item.lines.select_related("tool")}
    sofia, pk = visits.as_(company.sofia), item.pk
    page = visits.text(sofia.get("/reviews/q4/work/", secure=True))
    assert ("Keep some" in page, "Don&#x27;t know" in page, f'name="keep:{pk}"' in page) == (True, True, True)
    form = {"item": str(pk), f"rev:{pk}": "0", f"verb:{pk}": "reduce", f"reason:{pk}": "unused"}
    sofia.post("/reviews/q4/work/", {**form, f"keep:{pk}": [lines["now"], lines["convert"]]}, secure=True)
    assert Draft.objects.get().kept_lines == sorted(int(lines[name]) for name in ("now", "convert"))
    summary = sofia.get("/reviews/q4/submit/", secure=True)
    assert ("Keep some of 1" in visits.text(summary), "wipe" in visits.text(summary)) == (True, True)
    sofia.post("/reviews/q4/submit/", {"tag": summary.context["tag"]}, secure=True)
    assert grant.lines.count() == 2
    second = visits.text(visits.as_(company.sam).get("/reviews/q4/work/", secure=True))
    assert (f'value="{lines["now"]}"' in second, f'value="{lines["wipe"]}"' in second) == (True, False)
    assert "Recall" in visits.text(sofia.get("/reviews/q4/work/?view=answered", secure=True))

    sofia.post(f"/reviews/q4/items/{pk}/recall/", secure=True)

    assert grant.lines.count() == 4
    assert "research-bot" in visits.text(sofia.get("/reviews/q4/work/", secure=True))


def test_an_item_shows_its_answers_and_the_owner_opens_it_again(company: Company) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    page, act = f"/reviews/q4/items/{item.pk}/", f"/reviews/q4/items/{item.pk}/act/"
    ana = visits.as_(company.ana)
    shown = visits.text(ana.get(page, secure=True))
    assert ("No calls in ninety days." in shown, "Reopen" in shown) == (True, True)
    assert "Reopen" not in visits.text(visits.as_(company.sofia).get(page, secure=True))
    again = {"do": "reopen", "reason": "Look again."}
    assert visits.as_(company.sofia).post(act, again, secure=True).status_code == 403

    ana.post(act, again, secure=True)

    grant.refresh_from_db()
    item.refresh_from_db()
    assert (grant.state, item.state) == ("active", "in_review")
    assert "recalled by" in visits.text(ana.get(page, secure=True))
    assert ana.post(act, {"do": "retry"}, secure=True).status_code == 404
    assert ana.post("/reviews/q4/release/", {"reason": "x"}, secure=True).status_code == 409


def test_the_summary_is_not_submitted_once_the_drafts_are_others(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    submission.save_draft(worlds.item(campaign).pk, worlds.KEEP, by=company.sofia, rev=0)
    answer = visits.as_(company.sofia).post("/reviews/q4/submit/", {"tag": "another"}, secure=True)
    assert (answer.status_code, "stale" in visits.text(answer)) == (412, True)
    assert not ReviewDecision.objects.exists()


def test_the_summary_weighs_a_cut_against_the_calls_of_what_is_cut_alone(company: Company) -> None:
    """Many calls of what is kept beside it would make any cut look small."""
    for name, calls in (("busy", 900), ("quiet", 3)):
        bot = make.agent(name, sponsor=company.sofia)
        grant = make.grant(bot, worlds.low(company), people=[company.bob])
        row = {"agent": bot, "grant": grant, "tool": grant.lines.get().tool, "calls": calls, "denied": 0}
        UsageDay.objects.create(day=clock.now().date(), last_at=clock.now(), **row)
    items = {item.agent_slug: item for item in worlds.campaign(company).items.all()}
    submission.save_draft(items["busy"].pk, worlds.KEEP, by=company.sofia, rev=0)
    submission.save_draft(items["quiet"].pk, worlds.REMOVE, by=company.sofia, rev=0)
    page = visits.as_(company.sofia).get("/reviews/q4/submit/", secure=True)
    assert (page.context["calls"], page.context["all_calls"]) == (3, 3)


def test_what_is_critical_is_submitted_only_with_a_fresh_proof(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    submission.save_draft(worlds.item(campaign).pk, worlds.KEEP, by=company.sofia, rev=0)
    tag = submission.drafts_tag(campaign, company.sofia)
    answer = visits.as_(company.sofia, fresh=False).post("/reviews/q4/submit/", {"tag": tag}, secure=True)
    assert answer.status_code in {302, 403}
    assert not ReviewDecision.objects.exists()


def test_a_script_keeps_one_answer_and_hears_of_a_conflict(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/draft/"
    form = {f"verb:{item.pk}": "certify", f"reason:{item.pk}": "mandated", f"rev:{item.pk}": "0"}
    kept, stale = (sofia.post(address, form, secure=True) for _ in range(2))
    assert (kept.status_code, kept.json()["rev"], kept.json()["drafted"]) == (200, 1, 1)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert Draft.objects.get().reason_code == "mandated"


@pytest.mark.parametrize(
    "sent", ["[", "7", '{"x": {}}', '{"1": 2}', '{"1": {"a": "\\u0000"}}', '{"1": {"a": NaN}}', '{"1": {"a": 1e999}}',
             '{"1": {"a": "\\ud800"}}', "[" * 100_000]
)  # fmt: skip
def test_limits_that_are_none_are_refused_and_nothing_is_kept(company: Company, sent: str) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    line = str(item.lines.order_by("pk")[0].pk)
    form = {f"verb:{item.pk}": "reduce", f"keep:{item.pk}": line, f"rev:{item.pk}": "0", f"limits:{item.pk}": sent}
    response = visits.as_(company.sofia).post(f"/reviews/q4/items/{item.pk}/draft/", form, secure=True)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert not Draft.objects.exists()


def test_an_agent_shows_what_reviews_decided_about_it_to_whoever_may_see_that(company: Company) -> None:
    worlds.granted(company)
    where = "/agents/research-bot/?tab=reviews"
    ana, sofia = visits.as_(company.ana), visits.as_(company.sofia)
    assert "Not reviewed yet" in visits.text(ana.get(where, secure=True))
    campaign = worlds.campaign(company)
    assert "assigned to sofia" in visits.text(ana.get(where, secure=True)).lower()
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    for page in (visits.text(ana.get(where, secure=True)), visits.text(sofia.get(where, secure=True))):
        for text in ("Fourth quarter", "Revoke", "It is not used", "No calls in ninety days."):
            assert text in page, text
    assert "Not reviewed yet" in visits.text(visits.as_(company.otto).get(where, secure=True))


def test_who_comes_in_where(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    audrey = make.person("audrey", roles=[Role.AUDITOR])
    for who, statuses in (
        (company.ana, (200, 404, 200, 200)),
        (audrey, (200, 404, 200, 403)),
        (company.sofia, (200, 200, 403, 403)),
        (company.otto, (404, 404, 404, 403)),
        (company.mallory, (404, 404, 404, 403)),
    ):
        visit = visits.as_(who)
        pages = ("/reviews/q4/", "/reviews/q4/work/", "/reviews/q4/evidence/", "/reviews/new/")
        assert tuple(visit.get(page, secure=True).status_code for page in pages) == statuses, who
    for path in ("activate", "close", f"items/{item.pk}/reassign"):
        answer = visits.as_(company.sofia).post(f"/reviews/q4/{path}/", {"reason": "x", "to": "sam"}, secure=True)
        assert answer.status_code == 403, path
    assert worlds.live(item).reviewer == company.sofia


def test_all_items_without_a_reviewer_are_counted_and_people_are_offered_by_name(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worlds.granted(company)
    for number in range(3):
        lonely = make.agent(f"lonely-{number}", kind="personal", sponsor=company.sam, owner=company.otto)
        make.grant(lonely, worlds.low(company), people=[company.sam])
    ana = visits.as_(company.ana)
    draft = worlds.campaign(company, start=False)
    assert "lonely-2" in visits.text(ana.get("/reviews/q4/", secure=True)), (
        "whom to find somebody for, before it begins"
    )
    launch.activate(draft.pk, by=company.ana)
    monkeypatch.setattr("governance.reviews.campaigns.queries.campaigns.MOST_UNRESOLVED", 2)
    page = visits.text(ana.get("/reviews/q4/reviewers/", secure=True))
    assert "3 items are unassigned" in page
    assert 'data-combobox="/search/options/?kind=person"' in page


def test_an_unresolved_item_shows_who_was_passed_over_and_takes_a_name(company: Company) -> None:
    worlds.granted(company)
    alone = make.agent("lonely", kind="personal", sponsor=company.sam, owner=company.otto)
    make.grant(alone, worlds.low(company), people=[company.sam])
    item = worlds.item(worlds.campaign(company), alone)
    ana = visits.as_(company.ana)
    assert "the agent acts for them" in visits.text(ana.get("/reviews/q4/reviewers/", secure=True))
    ana.post(f"/reviews/q4/items/{item.pk}/reassign/", {"to": "mona", "reason": "knows it"}, secure=True)
    assert Assignment.objects.get(item=item, state="assigned").reviewer == company.mona


def test_the_evidence_comes_as_a_page_a_table_and_json_with_hostile_text_inert(company: Company) -> None:
    worlds.granted(company)
    hostile = "=cmd|' /C calc'!A0 <script>alert(1)</script>"
    campaign = worlds.campaign(company)
    revoked = Answer("revoke", "risk", hostile)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), revoked)])
    sweeps.prove_due()
    ana = visits.as_(company.ana)
    page = visits.text(ana.get("/reviews/q4/evidence/", secure=True))
    assert ("<script>alert(1)" in page, "&lt;script&gt;alert(1)" in page, "Verified" in page) == (False, True, True)
    table = ana.get("/reviews/q4/evidence.csv", secure=True)
    assert f'"\'{hostile}"' in visits.text(table)
    evidence = json.loads(visits.text(ana.get("/reviews/q4/evidence.json", secure=True)))
    assert evidence["rows"][0]["comment"] == hostile
    assert Grant.objects.get().state == "suspended"


def test_the_evidence_says_what_stands_before_sealing(company: Company) -> None:
    worlds.granted(company)
    worlds.campaign(company)
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/evidence/", secure=True))
    for text in ("Before the sign-off", "The review has to be closed", "1 item has no outcome"):
        assert text in page, text


def test_the_evidence_of_a_large_population_is_paged_and_added_up_when_asked(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company)
    monkeypatch.setattr("governance.reviews.evidence.pages.evidence._FEW", 1)
    monkeypatch.setattr("governance.reviews.evidence.pages.evidence._ROWS", 1)
    ana = visits.as_(company.ana)
    first = visits.text(ana.get("/reviews/q4/evidence/", secure=True))
    text = "Rows that do not match their hash"
    assert ("Next page" in first, text in first, 'href="?check=yes"' in first) == (True, False, True)
    items = [str(item.pk) for item in campaign.items.order_by("number")]
    assert [f"/reviews/q4/items/{pk}/" in first for pk in items] == [True, False]
    assert text in visits.text(ana.get("/reviews/q4/evidence/?check=yes", secure=True))


def test_the_evidence_is_handed_out_as_it_is_read_and_no_part_holds_more_than_some_rows(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worlds.granted(company)
    for number in range(4):
        make.grant(make.agent(f"bot-{number}", sponsor=company.sofia), company.use, people=[company.alice])
    campaign = worlds.campaign(company)
    evidence, asked = import_module("governance.reviews.evidence.record"), list[int]()
    reading = evidence.rows_of
    monkeypatch.setattr(evidence, "_AT_ONCE", 2)

    def rows_of(items: list[ReviewItem]) -> object:
        asked.append(len(items))
        return reading(items)

    monkeypatch.setattr(evidence, "rows_of", rows_of)
    ana = visits.as_(company.ana)

    answer = ana.get("/reviews/q4/evidence.json", secure=True)
    assert (answer.streaming, asked) == (True, []), "nothing is read before it is sent"
    told = json.loads(visits.text(answer))

    assert asked == [2, 2, 1]
    assert [row["number"] for row in told["rows"]] == [1, 2, 3, 4, 5]
    assert [row["seq"] for row in told["population"]] == ["1", "2", "3", "4", "5"]
    assert len(visits.text(ana.get("/reviews/q4/evidence.csv", secure=True)).splitlines()) == 6
    assert campaign.population_rows == 5
