"""What the database refuses about reviews, tried at its own door, as the application's role: past every verb."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.people.models import Person
from governance.reviews.campaigns import close, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.discussion.models import ReviewComment
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation.models import RecalledDecision, Remediation, RemediationException
from governance.reviews.reviewers.models import Assignment
from tests import databases, make, shared
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def review_of_one() -> tuple[Company, Campaign, ReviewItem]:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


made_world, review = shared.world(review_of_one)


def decision(item: ReviewItem, by: Person, **fields: Any) -> ReviewDecision:  # noqa: ANN401
    """Write a decision straight into its table."""
    kept = list(ReviewLine.objects.filter(item=item).values_list("pk", flat=True))
    row = {"verb": "certify", "kept_lines": kept, "reason_code": "mandated", "via": "api", "decided_at": clock.now()}
    row["comment"] = "The law asks for it."
    assignment = fields.pop("assignment", None) or worlds.live(item)
    return ReviewDecision.objects.create(item=item, assignment=assignment, decided_by=by, **{**row, **fields})


def refused(message: str) -> Any:  # noqa: ANN401
    return pytest.raises(DatabaseError, match=message)


REMOVED: dict[str, Any] = {"verb": "revoke", "kept_lines": [], "reason_code": "unused"}


def give(item: ReviewItem, to: Person) -> None:
    """Assign an item to somebody, whatever the rules say."""
    Assignment.objects.filter(item=item).update(reviewer=to)


def test_a_decision_that_nothing_stands_against_is_taken(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    assert decision(item, company.sofia) in ReviewDecision.objects.all()


def test_an_inactive_person_decides_nothing(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    Person.objects.filter(pk=company.sofia.pk).update(is_active=False, disabled_at=clock.now())
    with refused("active person"):
        decision(item, company.sofia)


def test_whoever_benefits_decides_nothing_by_name_or_by_group(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, campaign, item = review
    give(item, company.alice)
    with refused("benefit"), transaction.atomic():
        decision(item, company.alice)
    team = make.agent("team-bot", sponsor=company.sofia)
    make.grant(team, worlds.low(company), groups=[make.group(company.bob)])
    close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    other = worlds.item(worlds.campaign(company, slug="next"), team)
    give(other, company.bob)
    with refused("benefit"):
        decision(other, company.bob)


def test_the_technical_owner_decides_nothing(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    give(item, company.otto)
    with refused("technical owner"):
        decision(item, company.otto)


def test_only_the_person_an_item_is_assigned_to_decides_it(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    with refused("assigned to"), transaction.atomic():
        decision(item, company.sam)
    Assignment.objects.filter(item=item).update(state="reassigned")
    with refused("assigned to"):
        decision(item, company.sofia, assignment=Assignment.objects.get(item=item))


@pytest.mark.parametrize("fields", [{"reason_code": ""}, {"kept_lines": [1]}])
def test_a_removal_has_a_reason_and_keeps_nothing(
    review: tuple[Company, Campaign, ReviewItem], fields: dict[str, Any]
) -> None:
    company, _, item = review
    with refused("a_removal_has_a_reason"):
        decision(item, company.sofia, **{"verb": "revoke", "kept_lines": [], "reason_code": "unused", **fields})


def test_keeping_keeps_each_line_and_says_why_where_the_risk_is_high(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, _, item = review
    with refused("each of its lines"), transaction.atomic():
        decision(item, company.sofia, kept_lines=[])
    with refused("high risk"):
        decision(item, company.sofia, reason_code="")


@pytest.mark.parametrize("comment", ["", " \n\t  \u3000 ", "Needed.", "It  is   f i"])
def test_keeping_what_is_critical_says_why_in_writing(
    review: tuple[Company, Campaign, ReviewItem], comment: str
) -> None:
    company, _, item = review
    with refused("needs a written reason"):
        decision(item, company.sofia, comment=comment)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"verb": "approve"}, "known_verb"),
        ({"verb": "reduce", "kept_lines": []}, "keeps_something|some of its own lines"),
        ({"verb": "reduce"}, "some of its own lines"),
        ({"verb": "reduce", "kept_lines": [0]}, "some of its own lines"),
        ({"verb": "reduce", "limits": {"0": {"day": {"equals": "monday"}}}}, "some of its own lines"),
        ({"verb": "reduce", "reason_code": "", "keep": 1}, "a_reduction_has_a_reason"),
        ({"verb": "certify", "limits": {"1": {}}}, "tightens_nothing"),
        ({"verb": "abstain", "kept_lines": [], "reason_code": ""}, "an_abstention_says_why"),
        ({"verb": "abstain", "reason_code": "conflict"}, "an_abstention_says_why"),
        ({"valid_until": timedelta(days=900)}, "before the end that stands"),
        ({"valid_until": timedelta(days=-1)}, "yet_to_come"),
        ({"effective_at": timedelta(days=1)}, "within_a_fortnight"),
        ({**REMOVED, "effective_at": timedelta(days=14, minutes=1)}, "within_a_fortnight"),
        ({**REMOVED, "effective_at": timedelta(0)}, "within_a_fortnight"),
        ({"stage": 2}, "assigned to|after the one before"),
        ({"stage": 3}, "assigned to|as many stages"),
    ],
)
def test_an_answer_that_is_none_is_not_taken(
    review: tuple[Company, Campaign, ReviewItem], fields: dict[str, Any], said: str
) -> None:
    company, _, item = review
    lines = list(ReviewLine.objects.filter(item=item).values_list("pk", flat=True))
    fields = dict(fields)
    if "keep" in fields:
        fields["kept_lines"] = lines[: fields.pop("keep")]
    fields["decided_at"] = now = clock.now()
    for day in {"valid_until", "effective_at"} & fields.keys():
        fields[day] = now + fields[day]
    with refused(said):
        decision(item, company.sofia, **fields)


def test_what_is_of_high_risk_is_decided_by_two_distinct_people(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, _, item = review
    first = decision(item, company.sofia)
    with refused("each of its stages"), transaction.atomic():
        ReviewItem.objects.filter(pk=item.pk).update(state="decided", current_decision=first)
    Assignment.objects.filter(item=item).update(state="submitted")
    again = Assignment.objects.create(item=item, stage=2, reviewer=company.sofia, assigned_at=clock.now())
    with refused("two distinct people"), transaction.atomic():
        decision(item, company.sofia, stage=2)
    Assignment.objects.filter(pk=again.pk).update(reviewer=company.sam)
    kept = first.kept_lines[:1]
    cut = decision(item, company.sam, stage=2, verb="reduce", kept_lines=kept, reason_code="unused")
    Remediation.objects.create(decision=cut, not_before=clock.now(), due_at=clock.now())
    with refused("strictest"), transaction.atomic():
        ReviewItem.objects.filter(pk=item.pk).update(state="decided", current_decision=first)
    ReviewItem.objects.filter(pk=item.pk).update(state="decided", current_decision=cut)


def test_a_second_decision_supersedes_what_was_taken_back_or_is_none(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    first = decision(item, company.sofia)
    with refused("taken back|supersedes_the_first"), transaction.atomic():
        decision(item, company.sofia)
    with refused("taken back"), transaction.atomic():
        decision(item, company.sofia, supersedes=first)
    RecalledDecision.objects.create(decision=first, kind="recall", by=company.sofia, at=clock.now())
    with refused("taken back"), transaction.atomic():
        decision(item, company.sofia)
    second = decision(item, company.sofia, supersedes=first)
    with refused("taken back|unique"), transaction.atomic():
        decision(item, company.sofia, supersedes=first)
    with refused("never changed"), transaction.atomic():
        RecalledDecision.objects.update(reason="other")
    later = {"decision": second, "by": company.sofia, "at": clock.now() + timedelta(minutes=16)}
    with refused("within fifteen minutes"), transaction.atomic():
        RecalledDecision.objects.create(kind="recall", **later)
    with refused("only the owner"), transaction.atomic():
        RecalledDecision.objects.create(kind="reopen", reason="x", **later)
    with refused("opening_an_item_again"), transaction.atomic():
        RecalledDecision.objects.create(kind="reopen", **{**later, "by": company.ana})
    assert campaign.state == "active"


def test_a_removal_without_its_remediation_does_not_commit(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    decision(item, company.sofia, verb="revoke", kept_lines=[], reason_code="unused")
    with refused("followed by its remediation"), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_decision_is_never_changed_or_deleted(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    made = decision(item, company.sofia)
    with refused("never changed"), transaction.atomic():
        ReviewDecision.objects.filter(pk=made.pk).update(comment="other")
    with refused("never changed"):
        ReviewDecision.objects.filter(pk=made.pk)._raw_delete("default")


@pytest.mark.parametrize(
    "model", [Campaign, ReviewItem, PopulationRow, ReviewLine, Assignment, ReviewDecision, Remediation]
)
def test_nothing_of_a_review_is_deleted(review: tuple[Company, Campaign, ReviewItem], model: type[Any]) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    with refused("never changed or deleted|foreign key"):
        model.objects.all()._raw_delete("default")


@pytest.mark.parametrize("model", [PopulationRow, ReviewLine, ReviewDecision, ReviewComment])
def test_the_application_truncates_nothing_of_a_review(roles: databases.Addresses, model: type[Any]) -> None:
    with (
        psycopg.connect(roles.app) as app,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        app.execute(f"TRUNCATE {model._meta.db_table} CASCADE")


def test_the_population_is_neither_edited_nor_added_to(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, campaign, item = review
    (row,) = PopulationRow.objects.all()
    with refused("never changed"), transaction.atomic():
        PopulationRow.objects.update(payload="{}")
    with refused("never changed"), transaction.atomic():
        ReviewLine.objects.update(calls_window=7)
    other = make.grant(company.bot, worlds.low(company))
    with refused("before it begins"), transaction.atomic():
        PopulationRow.objects.create(
            campaign=campaign, seq=9, item=item, grant=other, grant_version=1, payload="{}", row_sha256=row.row_sha256
        )
    with refused("before it begins"), transaction.atomic():
        ReviewLine.objects.create(item=item, grant=other, tool=make.tool(company.system), usage_grade="C")
    with refused("before it begins"), transaction.atomic():
        ReviewItem.objects.create(
            campaign=campaign, number=9, agent=company.bot, system=company.system, subjects_digest="x", subjects=[]
        )
    with refused("fixed when its campaign begins"), transaction.atomic():
        ReviewItem.objects.update(risk="low")
    edits: list[dict[str, Any]] = [
        {"population_sha256": "0" * 64},
        {"scope": {"agents": []}},
        {"snapshot_at": clock.now()},
    ]
    for fields in edits:
        with refused("fixed when it begins"), transaction.atomic():
            Campaign.objects.update(**fields)


def test_a_campaign_closes_with_every_outcome_and_every_removal_proven(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    with refused("every item has an outcome"), transaction.atomic():
        Campaign.objects.update(state="closing")
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    with refused("not from active to closed"), transaction.atomic():
        Campaign.objects.update(state="closed", closed_at=clock.now())
    Campaign.objects.update(state="closing")
    with refused("every removal is proven"), transaction.atomic():
        Campaign.objects.update(state="closed", closed_at=clock.now())
    assert sweeps.prove_due() == 1
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    with refused("stays as it is"):
        Campaign.objects.update(name="other")


@pytest.mark.parametrize(
    "probe", [None, {}, {"holds": True}, {"holds": True, "calls": []}, {"holds": False, "calls": [{}]}]
)
def test_nothing_is_verified_without_a_probe_that_holds(
    review: tuple[Company, Campaign, ReviewItem], probe: dict[str, Any] | None
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    with refused("verified by a probe|what_is_verified"):
        Remediation.objects.update(state="verified", verified_at=clock.now(), probe=probe)


def test_an_item_with_an_outcome_keeps_it(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    with refused("keeps it"), transaction.atomic():
        ReviewItem.objects.update(state="in_review", current_decision=None)
    with refused("keeps it"), transaction.atomic():
        ReviewItem.objects.update(state="superseded", current_decision=None)
    assert Agent.objects.exists()


def test_a_cut_that_was_not_taken_back_is_not_withdrawn_and_none_is_excepted_by_its_decider(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    with refused("taken back with its answer"), transaction.atomic():
        Remediation.objects.update(state="withdrawn")
    with refused("excepted by a second person"), transaction.atomic():
        Remediation.objects.update(state="excepted")
    now = clock.now()
    fields = {"remediation": Remediation.objects.get(), "reason": "x", "control": "x", "made_at": now}
    with refused("second person"), transaction.atomic():
        RemediationException.objects.create(by=company.sofia, expires_at=now + timedelta(days=1), **fields)
    with refused("excepted_for_a_while"), transaction.atomic():
        RemediationException.objects.create(by=company.ana, expires_at=now + timedelta(days=181), **fields)
    made = RemediationException.objects.create(by=company.ana, expires_at=now + timedelta(days=1), **fields)
    with refused("never changed"):
        RemediationException.objects.filter(pk=made.pk).update(expires_at=now + timedelta(days=2))
