from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit import clock
from entitlements.errors import ReasonRequired
from entitlements.grants.models import Grant
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.rules import OF_REVIEWS
from governance.console import tags
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import review_rules
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

WORK = "/reviews/q4/work/"
type Move = Callable[[datetime | timedelta], datetime]


@snapshots.restored
def _easy(bots: int = 2) -> tuple[Company, Campaign, list[ReviewItem]]:
    """Make a review of agents whose one harmless tool was used and kept before, so that they may be kept together."""
    company = companies.found()
    use = worlds.low(company)
    for number in range(bots):
        bot = make.agent(f"easy-{number}", sponsor=company.sofia, owner=company.otto)
        grant = make.grant(bot, use, people=[company.alice], lasts=timedelta(days=80))
        Grant.objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=120))
    first = worlds.campaign(company, slug="q3")
    worlds.answer(first, company.sofia, [(item, worlds.KEEP) for item in first.items.all()])
    campaign = worlds.campaign(company)
    return company, campaign, list(campaign.items.order_by("number"))


def test_what_is_of_high_risk_is_kept_only_after_a_look() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    sofia, keep = visits.as_(company.sofia), f'name="verb:{item.pk}" value="certify" disabled'
    assert keep in visits.text(sofia.get(WORK, secure=True))
    page = visits.text(sofia.get(f"/reviews/q4/items/{item.pk}/", secure=True))
    assert "I have read the details" in page

    back = sofia.post(f"/reviews/q4/items/{item.pk}/looked/", {"evidence": "yes", "back": "yes"}, secure=True)

    assert back["Location"] == f"{WORK}#item-{item.pk}"
    assert keep not in visits.text(sofia.get(WORK, secure=True))
    assert Assignment.objects.get(item=item).evidence_opened_at is not None


def test_the_details_show_what_was_kept_before_who_asked_and_what_a_cut_would_have_done() -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    first = worlds.campaign(company, slug="q3")
    item = worlds.item(first)
    worlds.answer(first, company.sofia, [(item, worlds.KEEP)])
    worlds.answer(first, company.sam, [(item, Answer("certify", "mandated", "Payroll needs it."))])
    campaign = worlds.campaign(company)
    page = visits.text(
        visits.as_(company.sofia).get(f"/reviews/q4/items/{worlds.item(campaign).pk}/?beside", secure=True)
    )
    for said in (
        "research-bot can:",
        "No calls in 90 days, so no call would have been denied.",
        "Nothing changed",
        "Payroll needs it.",
    ):
        assert said in page, said
    assert "<html" not in page
    assert grant.state == "active"


def test_some_is_kept_with_a_tighter_limit_and_the_list_does_not_lose_it() -> None:
    company = companies.found()
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
    tools = [
        make.tool(company.system, name, definition={"name": name, "inputSchema": schema}) for name in ("plan", "book")
    ]
    make.grant(company.bot, make.entitlement(company.system, *tools), people=[company.alice])
    item = worlds.item(worlds.campaign(company))
    plan, book = item.lines.order_by("-tool__name").values_list("pk", flat=True)
    sofia, limits = visits.as_(company.sofia), {str(plan): {"days": {"optional": True, "max": 3}}}
    form = {"keep": [str(plan), str(book)], "reason": "wrong_scope", f"limit:{plan}:days:max": "3"}

    done = sofia.post(f"/reviews/q4/items/{item.pk}/narrow/", form, secure=True)

    draft = Draft.objects.get()
    assert done["Location"] == f"{WORK}#item-{item.pk}"
    assert (draft.limits, draft.kept_lines) == (limits, sorted([plan, book]))
    again = {f"verb:{item.pk}": "reduce", f"reason:{item.pk}": "wrong_scope", f"comment:{item.pk}": "Three days do."}
    again |= {f"rev:{item.pk}": "1", "ms": "1200", f"keep:{item.pk}": str(plan)}
    assert sofia.post(f"/reviews/q4/items/{item.pk}/draft/", again, secure=True).status_code == 200
    draft.refresh_from_db()
    assert (draft.comment, draft.limits, draft.kept_lines) == ("Three days do.", limits, [plan])


def test_several_that_are_alike_are_kept_together_and_the_others_say_why_not() -> None:
    company, campaign, items = _easy()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    late = worlds.campaign(company, slug="late")
    assert grant.state == "active"
    picked = [str(item.pk) for item in late.items.order_by("number")]
    sofia = visits.as_(company.sofia)
    asked = visits.text(sofia.post("/reviews/late/bulk/", {"pick": picked, "verb": "certify"}, secure=True))
    assert "It fits 0 of 3" in asked  # said before anybody is asked why
    assert 'name="reason"' not in asked
    form = {"pick": picked, "verb": "certify", "reason": "business_need"}
    shown = sofia.post("/reviews/late/bulk/", form, secure=True)
    assert "of 3" in visits.text(shown)
    assert "High risk level: keep it on its own" in visits.text(shown)
    assert (campaign.state, len(items)) == ("active", 2)


def test_removing_several_takes_their_number_typed_and_drafts_them() -> None:
    company, _campaign, items = _easy()
    sofia = visits.as_(company.sofia)
    form = {"pick": [str(item.pk) for item in items], "verb": "revoke"}
    asked = visits.text(sofia.post("/reviews/q4/bulk/", form, secure=True))
    assert "It fits 2 of 2" in asked
    assert 'name="reason"' in asked
    shown = sofia.post("/reviews/q4/bulk/", form | {"reason": "project_ended"}, secure=True)
    assert "It fits 2 of 2" in visits.text(shown)
    token = shown.context["preview"].token
    assert sofia.post("/reviews/q4/bulk/", {"token": token, "count": "3"}, secure=True).status_code >= 400
    assert not Draft.objects.filter(verb="revoke").exists()

    sofia.post("/reviews/q4/bulk/", {"token": token, "count": "2"}, secure=True)

    drafts = Draft.objects.filter(verb="revoke")
    assert (drafts.count(), len({each.bulk_op for each in drafts})) == (2, 1)


@pytest.mark.parametrize(
    ("view", "headings"),
    [
        ("risk", ["Low risk"]),  # unchanged, and suggested against: nothing of it was called
        ("system", ["clock"]),
        ("agent", ["easy-0", "easy-1"]),
        ("nonsense", ["Low risk"]),
    ],
)
def test_the_same_items_stand_under_other_headings(view: str, headings: list[str]) -> None:
    company, _campaign, items = _easy()
    shown = visits.as_(company.sofia).get(f"{WORK}?view={view}", secure=True)
    assert all(heading in visits.text(shown) for heading in headings)
    assert len(shown.context["groups"]) == len(headings)
    assert {row.item.pk for group in shown.context["groups"] for row in group.rows} == {item.pk for item in items}


def test_items_are_found_by_agent_system_and_tool() -> None:
    company, _campaign, _items = _easy()
    sofia = visits.as_(company.sofia)
    names = {q: len(sofia.get(f"{WORK}?q={q}", secure=True).context["rows"]) for q in ("easy-1", "clock", "tool", "no")}
    assert names == {"easy-1": 1, "clock": 2, "tool": 2, "no": 0}


def test_a_reviewer_gives_an_item_away_to_somebody_in_its_chain_alone() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/hand-on/"
    assert sofia.post(address, {"to": "mallory", "reason": "x"}, secure=True).status_code == 403
    assert visits.as_(company.mona).post(address, {"to": "sam", "reason": "x"}, secure=True).status_code in {403, 404}
    sofia.post(address, {"to": "sam", "reason": "He knows the system."}, secure=True)
    assert worlds.live(item).reviewer == company.sam


PART = {"HX-Request": "true"}


def test_the_details_answer_with_themselves_and_say_what_was_done_or_refused() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}"

    def told(path: str, **form: str) -> str:
        answer = sofia.post(f"{address}/{path}/", form, headers=PART, secure=True, follow=True)
        assert (answer.status_code, "<html" in visits.text(answer)) == (200, False)
        return visits.text(answer)

    assert "data-told>" in told("comment", text="Otto knows.")
    assert '<p class="message error" data-told>' in told("comment", text="")
    assert visits.refusals()
    assert "Otto knows." in told("ask", text="Why?", of="nobody")
    left = told("hand-on", to="sam", reason="He knows the system.")
    assert "data-left>" in left
    assert "Otto knows." not in left, "it is no longer hers to see"


def test_who_is_signed_out_while_a_part_is_swapped_loads_the_page_anew() -> None:
    company, campaign = worlds.reviewed()
    client = visits.as_(company.sofia)
    client.cookies.clear()
    address = f"/reviews/q4/items/{worlds.item(campaign).pk}/comment/"
    assert client.post(address, {"text": "x"}, headers=PART, secure=True)["HX-Refresh"] == "true"


def test_a_conflict_says_what_is_kept_instead_so_that_it_can_be_confirmed_over() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    submission.save_draft(item.pk, worlds.REMOVE, by=company.sofia, rev=0)
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/draft/"
    form = {f"verb:{item.pk}": "certify", f"reason:{item.pk}": "mandated", f"rev:{item.pk}": "0"}
    told = sofia.post(address, form, secure=True)
    assert (told.status_code, told.json()["rev"], told.json()["verb"]) == (412, 1, "revoke")
    assert sofia.post(address, form | {f"rev:{item.pk}": "1"}, secure=True).status_code == 200


def test_whoever_keeps_against_the_suggestion_is_told_so_and_says_why() -> None:
    company, campaign, items = _easy(1)
    sofia = visits.as_(company.sofia)
    assert "data-weighty" in visits.text(sofia.get(WORK, secure=True))
    submission.save_draft(items[0].pk, Answer("certify"), by=company.sofia, rev=0)
    shown = sofia.get("/reviews/q4/submit/", secure=True)
    assert "against the suggestion" in visits.text(shown)
    assert [each.draft.assignment.item for each in shown.context["missing"]] == items
    with pytest.raises(ReasonRequired):
        submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
    submission.save_draft(items[0].pk, worlds.KEEP, by=company.sofia, rev=1)
    assert sofia.get("/reviews/q4/submit/", secure=True).context["missing"] == []
    assert submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI).decided


def test_what_is_critical_asks_for_words_before_it_can_be_submitted() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    sofia = visits.as_(company.sofia)
    assert "data-words" in visits.text(sofia.get(WORK, secure=True))
    submission.save_draft(item.pk, Answer("certify", "mandated"), by=company.sofia, rev=0)
    shown = sofia.get("/reviews/q4/submit/", secure=True)
    assert [each.draft.assignment.item for each in shown.context["missing"]] == [item]
    assert "write why in the comment" in visits.text(shown)
    tried = sofia.post("/reviews/q4/submit/", {"tag": shown.context["tag"]}, secure=True)
    assert "written_reason_required" in visits.text(tried)
    submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=1)
    assert sofia.get("/reviews/q4/submit/", secure=True).context["missing"] == []


def test_the_day_beside_a_removal_is_when_it_comes_and_beside_what_is_kept_when_that_ends() -> None:
    company, campaign, (kept, cut) = _easy()
    sofia, day = visits.as_(company.sofia), (clock.now() + timedelta(days=5)).date()
    for item, verb, reason in ((kept, "certify", "seasonal"), (cut, "revoke", "project_ended")):
        said = {f"verb:{item.pk}": verb, f"reason:{item.pk}": reason, f"until:{item.pk}": day.isoformat()}
        assert sofia.post(f"/reviews/q4/items/{item.pk}/draft/", said, secure=True).status_code == 200
    days = {
        each.verb: (each.valid_until, each.effective_at)
        for each in Draft.objects.filter(assignment__item__campaign=campaign)
    }
    assert [moment and moment.date() for moment in (*days["certify"], *days["revoke"])] == [day, None, None, day]
    assert visits.text(sofia.get(WORK, secure=True)).count(f'value="{day.isoformat()}"') == 2
    far = {f"verb:{cut.pk}": "revoke", f"rev:{cut.pk}": "1", f"until:{cut.pk}": (day + timedelta(days=10)).isoformat()}
    assert sofia.post(f"/reviews/q4/items/{cut.pk}/draft/", far, secure=True).status_code == 422
    page = visits.text(sofia.get("/reviews/q4/submit/", secure=True))
    assert ("works until then" in page, "Remediation starts at once" in page) == (True, False)
    sofia.post("/reviews/q4/submit/", {"tag": submission.drafts_tag(campaign, company.sofia)}, secure=True)
    assert set(Grant.objects.values_list("state", flat=True)) == {"active"}, "nothing is cut before its day"


def test_why_somebody_is_asked_or_passed_over_is_said_in_words() -> None:
    rules = {rule for kind in Campaign.Kind.values for rule in routing.chain_of(kind)} | {
        review_rules.ASSIGNED,
        review_rules.CLAIMED,
    }
    assert [rule for rule in rules if tags.reviewer_rule(rule) == rule] == []
    assert [reason for reason in OF_REVIEWS if reason.value in tags.passed_over(f"nora: {reason.value}")] == []


def test_recall_is_offered_for_fifteen_minutes(at: Move) -> None:
    company, campaign, items = _easy(1)
    worlds.answer(campaign, company.sofia, [(items[0], worlds.REMOVE)])
    sofia, answered = visits.as_(company.sofia), f"{WORK}?view=answered"
    recall = f"/reviews/q4/items/{items[0].pk}/recall/"
    at(timedelta(minutes=15))
    assert recall in visits.text(sofia.get(answered, secure=True))
    at(timedelta(seconds=1))
    assert recall not in visits.text(sofia.get(answered, secure=True))
    assert sofia.post(recall, secure=True).status_code == 409
