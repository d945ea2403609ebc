"""An auditor's work on a closed review: shared for a while, drawn so that anybody draws it again, never rewritten."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people import people, roles
from entitlements.people.models import Person
from governance.approvals import question_rules
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import audit, workpapers
from governance.reviews.evidence.models import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem
from governance.reviews.items.answer import Answer
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
FRIDAY = 4


made_world, company = shared.world(companies.found)


@pytest.fixture
def closed(company: Company) -> Campaign:
    """A closed review of four items, all kept; sofia answered, ana owns it."""
    for name in ("one", "two", "three", "four"):
        make.grant(make.agent(f"{name}-bot", sponsor=company.sofia), worlds.low(company), people=[company.alice])
    campaign = worlds.campaign(company)
    said = Answer("certify", "business_need", "=1+1")
    worlds.answer(campaign, company.sofia, [(each.item, said) for each in worlds.waiting_for(campaign, company.sofia)])
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    campaign.refresh_from_db()
    return campaign


@pytest.fixture
def audrey() -> Person:
    return make.person("audrey", roles=["auditor"])


def test_a_seed_draws_the_same_from_each_stratum_and_every_stratum_is_seen() -> None:
    frame = {number: ("critical" if number <= 3 else "low") for number in range(1, 101)}
    drawn = audit.pick(frame, 10, "abc")
    assert drawn == audit.pick(dict(reversed(frame.items())), 10, "abc") != audit.pick(frame, 10, "abd")
    assert len(drawn) == 10
    assert sum(number <= 3 for number in drawn) == 1
    assert audit.pick(frame, 500, "abc") == sorted(frame)
    assert len(audit.pick(dict.fromkeys(range(9), ""), 4, "x")) == 4
    assert len(audit.pick({n: str(n) for n in range(9)}, 4, "x")) == 4, "fewer than there are strata"


def test_a_sample_is_drawn_again_from_what_it_says(closed: Campaign, audrey: Person) -> None:
    first = audit.draw(closed.pk, by=audrey, wanted=2, strata="risk")
    again = audit.draw(closed.pk, by=audrey, wanted=2, strata="risk", seed=first.seed)
    assert [row["item"] for row in workpapers.rows(first)] == [row["item"] for row in workpapers.rows(again)]
    assert (first.frame, first.frame_sha256) == (4, again.frame_sha256)
    event = timeline.about(f"campaign:{closed.slug}").filter(action=Action.AUDIT_SAMPLE_DRAWN).first()
    assert event
    assert (event.detail["seed"], len(event.detail["items"])) == (first.seed, 2)
    for wrong in ({"wanted": 0}, {"wanted": 501}, {"wanted": 1, "strata": "mood"}, {"wanted": 1, "seed": "x" * 65}):
        with pytest.raises(audit.BadSample):
            audit.draw(closed.pk, by=audrey, **wrong)


def test_no_auditor_tests_a_review_in_which_she_answered(company: Company, closed: Campaign) -> None:
    ada = make.person("ada", roles=["admin"])
    roles.give(company.sofia, "auditor", by=ada, reason="She changed sides.")
    twin = people.edit(make.person("sofia-too", roles=["auditor"]), email=company.sofia.email, by=SYSTEM)
    for who in (company.sofia, twin):
        with pytest.raises(audit.NotTheAuditor):
            audit.draw(closed.pk, by=who, wanted=1)
    assert audit.draw(closed.pk, by=make.person("audrey", roles=["auditor"]), wanted=1).frame == 4


def test_no_auditor_tests_a_review_that_she_ran_or_signed_off_through_whichever_account(
    company: Company, closed: Campaign, audrey: Person
) -> None:
    ran_it = people.edit(make.person("ana-too", roles=["auditor"]), email="ana@example.com", by=SYSTEM)
    people.edit(company.ana, email="ana@example.com", by=SYSTEM)
    day = clock.now() + timedelta(days=1)
    with pytest.raises(audit.NotTheAuditor):
        audit.draw(closed.pk, by=ran_it, wanted=1)
    for to, by in ((ran_it, company.resa), (ran_it, company.ana)):
        with pytest.raises(audit.BadShare):
            audit.share(closed.pk, auditor=to, expires_at=day, by=by, reason="The yearly audit.")

    signed = make.security("rita")
    shared = audit.share(closed.pk, auditor=signed, expires_at=day, by=company.resa, reason="To look.")
    audit.draw(closed.pk, by=signed, wanted=1)
    audit.end_share(shared.pk, by=company.resa, reason="She signs it off instead.")
    pack = {"sealed_at": clock.now(), "statement": "x", "key_id": "k", "sha256": "0" * 64, "files": [], "content": b"x"}
    EvidencePack.objects.create(campaign=closed, signed_off_by=signed, tie_out={}, **pack)
    with pytest.raises(audit.BadShare):
        audit.share(closed.pk, auditor=signed, expires_at=day, by=company.resa, reason="The yearly audit.")
    assert audit.draw(closed.pk, by=audrey, wanted=1).frame == 4


def test_the_last_mark_counts_all_stay_and_the_workpaper_has_no_formula(
    company: Company, closed: Campaign, audrey: Person
) -> None:
    sample = audit.draw(closed.pk, by=audrey, wanted=1)
    (sampled,) = SampledItem.objects.filter(sample=sample)
    with pytest.raises(ReasonRequired):
        audit.mark(sampled.pk, by=audrey, finding="exception")
    with pytest.raises(audit.NotTheAuditor):
        audit.mark(sampled.pk, by=company.ana, finding="pass")
    audit.mark(sampled.pk, by=audrey, finding="query", note="=HYPERLINK(1)")
    audit.mark(sampled.pk, by=audrey, finding="pass", note="@seen")
    (row,) = workpapers.rows(sample)
    assert (row["finding"], row["note"], len(row["earlier"])) == ("pass", "@seen", 1)
    table = list(csv.reader(io.StringIO(workpapers.as_csv(sample), newline="")))
    assert not [cell for line in table for cell in line if cell.startswith(("=", "+", "-", "@"))]
    assert sample.seed in table[1]


def test_a_question_is_due_in_a_working_day_and_answered_once_by_the_owner(
    company: Company, closed: Campaign, audrey: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    friday = next(day for day in (clock.now() + timedelta(days=n) for n in range(7)) if day.weekday() == FRIDAY)
    monkeypatch.setattr(clock, "now", lambda: friday)
    asked = audit.ask(closed.pk, by=audrey, text="Why is item 1 kept?", item_id=closed.items.get(number=1).pk)
    assert asked.due_at == friday + timedelta(days=3), "monday"
    with pytest.raises(audit.NotTheAnswerer):
        audit.answer(asked.pk, by=company.resa, text="No idea.")
    audit.answer(asked.pk, by=company.ana, text="It posts invoices.")
    with pytest.raises(question_rules.QuestionAnswered):
        audit.answer(asked.pk, by=company.ana, text="And more.")
    for event in Event.objects.filter(action__in=[Action.AUDIT_QUESTION_ASKED, Action.AUDIT_QUESTION_ANSWERED]):
        listener.notify(event)
    told = Notice.objects.filter(url=f"/reviews/{closed.slug}/audit/")
    assert sorted(told.values_list("person__login", flat=True)) == ["ana", "audrey"]
    with pytest.raises(NotFound):
        audit.ask(closed.pk, by=audrey, text="?", item_id=uuid4())
    with pytest.raises(audit.NotTheAuditor):
        audit.ask(closed.pk, by=company.sofia, text="?")


def test_evidence_is_shared_for_a_while_with_who_had_no_part_in_it(
    company: Company, closed: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, until = make.person("olga"), clock.now() + timedelta(days=30)
    address = f"/api/v1/campaigns/{closed.slug}/evidence"
    assert api.proven(outside).get(address).status_code == 404
    shared = {"expires_at": until, "by": company.ana, "reason": "The yearly audit."}
    for who, wrong in (
        (company.sofia, {}),
        (company.ana, {}),
        (outside, {"expires_at": clock.now() + timedelta(days=91)}),
    ):
        with pytest.raises(audit.BadShare):
            audit.share(closed.pk, auditor=who, **{**shared, **wrong})  # type: ignore[arg-type]
    under_way = worlds.campaign(company, slug="next", start=False)
    with pytest.raises(seal.NotClosed):
        audit.share(under_way.pk, auditor=outside, **shared)  # type: ignore[arg-type]
    made = audit.share(closed.pk, auditor=outside, **shared)  # type: ignore[arg-type]
    with pytest.raises(audit.SharedAlready):
        audit.share(closed.pk, auditor=outside, **shared)  # type: ignore[arg-type]
    assert api.proven(outside).get(address).status_code == 200
    assert api.of(outside).get("/api/v1/campaigns/next").status_code == 404, "this review, and nothing else"
    looked = timeline.about(f"campaign:{closed.slug}").filter(action=Action.EVIDENCE_LOOKED_AT)
    assert [(event.actor, event.detail["what"]) for event in looked] == [("person:olga", "evidence.json")]
    audit.draw(closed.pk, by=outside, wanted=1)
    monkeypatch.setattr(clock, "now", lambda: until)
    assert api.proven(outside).get(address).status_code == 404, "it is over by itself"
    with pytest.raises(audit.NotTheAuditor):
        audit.draw(closed.pk, by=outside, wanted=1)
    audit.end_share(made.pk, by=company.ana, reason="Done.")
    with pytest.raises(NotFound):
        audit.end_share(made.pk, by=company.ana, reason="Done.")


def test_it_goes_by_api(company: Company, closed: Campaign, audrey: Person) -> None:
    auditor, address = api.proven(audrey), f"/api/v1/campaigns/{closed.slug}"
    made = auditor.post(f"{address}/samples", {"wanted": 2, "seed": "audit-1"})
    assert made.status_code == 201, made.json()
    paper = f"/api/v1/audit-samples/{made.json()['id']}"
    number = auditor.get(paper).json()["items"][0]["item"]
    assert auditor.post(f"{paper}/marks", {"item": number, "finding": "pass"}).status_code == 201
    assert auditor.post(f"{paper}/marks", {"item": 999, "finding": "pass"}).status_code == 400
    question = auditor.post(f"{address}/questions", {"text": "Why?"})
    assert question.status_code == 201
    to = f"/api/v1/audit-questions/{question.json()['id']}/answer"
    assert auditor.post(to, {"text": "Because."}).json()["code"] == "not_the_campaign_owner"
    assert api.of(company.ana).post(to, {"text": "Because."}).json()["answered_by"] == "ana"
    assert [row["seed"] for row in auditor.get(f"{address}/samples").json()["results"]] == ["audit-1"]
    assert auditor.get(f"{address}/questions").json()["results"][0]["answer"] == "Because."
    assert auditor.post(f"{address}/shares", {"auditor": "bob"}).status_code == 403
    assert api.of(company.sofia).post(f"{address}/samples", {"wanted": 2}).status_code == 403
    assert api.proven(company.sofia).get(paper).status_code == 403


def test_it_goes_by_pages_and_each_view_of_an_auditor_is_written_down(
    company: Company, closed: Campaign, audrey: Person
) -> None:
    page, address = visits.as_(audrey), f"/reviews/{closed.slug}/audit/"
    assert "Draw a sample" in visits.text(page.get(address))
    assert page.post(address, {"do": "draw", "wanted": "2", "strata": "risk", "seed": "s"}).status_code == 302
    sample = AuditSample.objects.get()
    number = workpapers.rows(sample)[0]["item"]
    told = {"item": str(number), "finding": "exception", "note": "No ticket."}
    assert page.post(f"/audit/samples/{sample.pk}/", told).status_code == 302
    assert "No ticket." in visits.text(page.get(f"/audit/samples/{sample.pk}/"))
    assert page.post(address, {"do": "ask", "text": "Which ticket?"}).status_code == 302
    owner = visits.as_(company.ana)
    assert "Which ticket?" in visits.text(owner.get(address))
    question = AuditQuestion.objects.get()
    assert owner.post(address, {"do": "answer", "question": str(question.pk), "text": "4711"}).status_code == 302
    assert "4711" in visits.text(page.get(address))
    story = visits.text(page.get(f"/reviews/{closed.slug}/items/{SampledItem.objects.all()[0].item_id}/"))
    assert "Reviewer assignment" in story
    assert "review.decided" in story
    assert page.post(address, {"do": "nothing"}).status_code == 400
    looked = timeline.about(f"campaign:{closed.slug}").filter(action=Action.EVIDENCE_LOOKED_AT)
    seen = {event.detail["what"].split()[0] for event in looked}
    assert seen == {"workspace", "sample", "item"}
    assert {event.actor for event in looked} == {"person:audrey"}


@pytest.mark.parametrize("table", ["auditsample", "sampleditem", "auditmark", "auditquestion", "evidenceshare"])
def test_nothing_of_it_is_deleted_or_rewritten(company: Company, closed: Campaign, audrey: Person, table: str) -> None:
    sample = audit.draw(closed.pk, by=audrey, wanted=1)
    audit.mark(SampledItem.objects.get(sample=sample).pk, by=audrey, finding="pass")
    audit.ask(closed.pk, by=audrey, text="Why?")
    until = clock.now() + timedelta(days=1)
    audit.share(closed.pk, auditor=company.mallory, expires_at=until, by=company.ana, reason="An audit.")
    column = {
        "auditsample": "seed = 'x'",
        "sampleditem": "stratum = 'x'",
        "auditmark": "note = 'x'",
        "auditquestion": "text = 'x'",
        "evidenceshare": "expires_at = expires_at + interval '1 day'",
    }[table]
    for statement in (
        f"UPDATE governance_{table} SET {column}",  # noqa: S608 - names of ours
        f"DELETE FROM governance_{table}",  # noqa: S608 - as above
        f"TRUNCATE governance_{table} CASCADE",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert (AuditMark.objects.count(), EvidenceShare.objects.count()) == (1, 1)
