"""Questions of a reviewer to who knows: asked and answered once by each door, and nothing is decided by them."""

from __future__ import annotations

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client as Browser

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.catalog import systems
from entitlements.clients.models import Client
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.approvals import question_rules
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.campaigns import close, pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import questions
from governance.reviews.discussion.models import ReviewQuestion
from governance.reviews.items import errors
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from tests import databases, make, shared
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.requests.test_agents_ask import token
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
type Review = tuple[Company, Campaign, ReviewItem]
ITEMS, QUESTIONS = "/api/v1/review-items", "/api/v1/review-questions"
HOSTILE = "=1+1 \u202e<script>window.owned=1</script>"


def _review() -> Review:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


made_world, review = shared.world(_review)


def test_a_question_is_answered_once_and_the_item_stays_as_it_was(review: Review) -> None:
    company, campaign, item = review
    due, asked = campaign.due_at, questions.ask(item.pk, to=company.otto, by=company.sofia, text=" What for? ")
    with pytest.raises(questions.NotAsked):
        questions.answer(asked.pk, by=company.sam, text="I know.")
    with pytest.raises(ReasonRequired):
        questions.answer(asked.pk, by=company.otto, text=" ")
    questions.answer(asked.pk, by=company.otto, text="For the sales desk.")
    with pytest.raises(question_rules.QuestionAnswered):
        questions.answer(asked.pk, by=company.otto, text="Or not.")
    item.refresh_from_db()
    campaign.refresh_from_db()
    assert (item.state, worlds.live(item).reviewer, campaign.due_at) == ("in_review", company.sofia, due)
    events = [event for event in timeline.of("item", item.pk) if event.action.startswith("review.question")]
    assert [(event.action, event.actor, event.reason) for event in events] == [
        (Action.REVIEW_QUESTION_ASKED, "person:sofia", "What for?"),
        (Action.REVIEW_QUESTION_ANSWERED, "person:otto", "For the sales desk."),
    ]


def test_the_reviewer_alone_asks_and_only_who_answers_for_it(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    company, campaign, item = review
    assert {each.login for each in questions.people_to_ask(item, by=company.sofia)} == {"otto", "sam"}
    for of in (company.sofia, company.alice, company.mona):
        with pytest.raises(questions.NotToBeAsked):
            questions.ask(item.pk, to=of, by=company.sofia, text="Why?")
    with pytest.raises(errors.NotTheReviewer):
        questions.ask(item.pk, to=company.otto, by=company.ana, text="Why?")
    with pytest.raises(NotFound):
        questions.ask(item.pk, to=company.otto, by=company.mona, text="Why?")
    monkeypatch.setattr(questions, "MOST", 1)
    questions.ask(item.pk, to=company.otto, by=company.sofia, text="Why?")
    with pytest.raises(question_rules.TooManyQuestions):
        questions.ask(item.pk, to=company.sam, by=company.sofia, text="Why?")
    pause.pause(campaign.pk, by=company.ana, reason="Holidays.")
    with pytest.raises(errors.NotUnderWay):
        questions.ask(item.pk, to=company.sam, by=company.sofia, text="Why?")


def test_whoever_is_asked_is_told_and_finds_it_at_home_and_the_reviewer_is_told_of_the_answer(review: Review) -> None:
    company, _campaign, item = review
    Person.objects.filter(login="sofia").update(name=HOSTILE)
    asked = questions.ask(item.pk, to=company.otto, by=company.sofia, text=HOSTILE)
    listener.notify(timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ASKED))
    page = f"/review-questions/{asked.pk}/"
    (notices,) = Notice.objects.filter(person=company.otto, url=page)
    assert "\u202e" not in notices.sentence
    otto = visits.as_(company.otto)
    assert page in visits.text(otto.get("/"))
    shown = visits.text(otto.get(page))
    assert "<script>window" not in shown
    assert "&lt;script&gt;window" in shown
    assert otto.post(page, {"text": "=For the sales desk."})["Location"] == page
    assert page not in visits.text(otto.get("/"))
    listener.notify(timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ANSWERED))
    assert Notice.objects.filter(person=company.sofia, url=f"/reviews/q4/items/{item.pk}/").count() == 1
    assert "=For the sales desk." in visits.text(visits.as_(company.sofia).get(f"/reviews/q4/items/{item.pk}/?beside"))


def test_it_is_asked_beside_the_item_and_read_by_nobody_else(review: Review) -> None:
    company, _campaign, item = review
    sofia, address = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/ask/"
    assert sofia.post(address, {"of": "mallory", "text": "Why?"}).status_code == 422
    assert sofia.post(address, {"of": "otto", "text": "Why?"}).status_code == 302
    assert visits.as_(company.ana).post(address, {"of": "otto", "text": "Why?"}).status_code == 403
    page = f"/review-questions/{ReviewQuestion.objects.get().pk}/"
    for person, status in ((company.otto, 200), (company.ana, 200), (company.sofia, 200), (company.mona, 404)):
        assert visits.as_(person).get(page).status_code == status, person
    assert visits.as_(company.ana).post(page, {"text": "x"}).status_code == 403
    assert visits.as_(company.mona).post(page, {"text": "x"}).status_code == 404


def test_it_is_asked_and_answered_over_rest_and_stands_in_the_item(review: Review) -> None:
    company, _campaign, item = review
    sofia, otto = client.of(company.sofia), client.of(company.otto)
    asked = sofia.post(f"{ITEMS}/{item.pk}/ask", {"of": "otto", "text": "What for?"})
    assert (asked.status_code, asked.json()["asked_of"]) == (201, "otto")
    assert sofia.post(f"{ITEMS}/{item.pk}/ask", {"of": "nobody", "text": "x"}).json()["code"] == "unknown_name"
    assert sofia.post(f"{ITEMS}/{item.pk}/ask", {"of": "alice", "text": "x"}).json()["code"] == "not_to_be_asked"
    (mine,) = otto.get(f"{QUESTIONS}?answered=false").json()["results"]
    assert (mine["text"], mine["answer"], mine["item"]) == ("What for?", "", str(item.pk))
    address = f"{QUESTIONS}/{mine['id']}"
    assert client.of(company.mona).post(f"{address}/answer", {"text": "x"}).status_code == 404
    assert client.of(company.ana).post(f"{address}/answer", {"text": "x"}).json()["code"] == "not_asked"
    assert otto.post(f"{address}/answer", {"text": "Sales."}).json()["answer"] == "Sales."
    assert otto.post(f"{address}/answer", {"text": "Sales."}).json()["code"] == "question_answered"
    assert otto.get(f"{QUESTIONS}?answered=false").json()["results"] == []
    (shown,) = client.of(company.ana).get(f"{ITEMS}/{item.pk}").json()["questions"]
    assert (shown["asked_by"], shown["asked_of"], shown["answer"]) == ("sofia", "otto", "Sales.")
    assert sofia.get(address).json()["id"] == mine["id"]


def test_no_agent_and_no_script_asks_or_answers(review: Review) -> None:
    company, _campaign, item = review
    asked = questions.ask(item.pk, to=company.otto, by=company.sofia, text="What for?")
    systems.ensure_builtin()
    _, secret = make.client(company.bot, "bot", auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:read"])
    agent = Browser(headers={"Authorization": f"Bearer {token('bot', secret, 'mandate:read')}"})
    assert agent.get(QUESTIONS).json()["results"] == []
    for address, body in (
        (f"{ITEMS}/{item.pk}/ask", {"of": "otto", "text": "x"}),
        (f"{ITEMS}/{item.pk}/comment", {"text": "x"}),
        (f"{QUESTIONS}/{asked.pk}/answer", {"text": "x"}),
    ):
        assert agent.post(address, body, content_type="application/json").status_code in {403, 404}, address
    assert ReviewQuestion.objects.get().answer == ""


def _insert(item: ReviewItem, by: int, of: int, answer: str = "") -> None:
    at = clock.now() if answer else None
    ReviewQuestion.objects.create(
        item=item, asked_by_id=by, asked_of_id=of, text="x", asked_at=clock.now(), answer=answer, answered_at=at
    )


def test_the_database_keeps_each_question_as_it_was_asked_and_answered(
    review: Review, roles: databases.Addresses
) -> None:
    company, _campaign, item = review
    gone = make.person("gone")
    Person.objects.filter(pk=gone.pk).update(is_active=False, disabled_at=clock.now())
    sofia, otto = company.sofia.pk, company.otto.pk
    for by, of, answer, why in (
        (gone.pk, otto, "", "only an active person"),
        (sofia, sofia, "", "nobody_asks_themselves"),
        (sofia, otto, "Said.", "before it is answered"),
    ):
        with pytest.raises((DatabaseError, IntegrityError), match=why), transaction.atomic():
            _insert(item, by, of, answer)
    asked = questions.ask(item.pk, to=company.otto, by=company.sofia, text="What for?")
    questions.answer(asked.pk, by=company.otto, text="Sales.")
    for statement, why in (
        ("UPDATE governance_reviewquestion SET answer = 'x'", "answered once"),
        ("UPDATE governance_reviewquestion SET text = 'x'", "answered once"),
        ("DELETE FROM governance_reviewquestion", "never changed"),
    ):
        with pytest.raises(DatabaseError, match=why), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with psycopg.connect(roles.app) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("TRUNCATE governance_reviewquestion CASCADE")


def test_once_it_is_signed_off_nobody_answers_any_more(review: Review) -> None:
    company, campaign, item = review
    asked = questions.ask(item.pk, to=company.otto, by=company.sofia, text="What for?")
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    if worlds.waiting_for(campaign, company.sam):
        worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    assert list(questions.waiting_for(company.otto)) == [], "what is decided waits for no answer"
    close.close(campaign.pk, by=company.ana, reason="It is over.")
    seal.seal(campaign.pk, by=company.ana, statement=worlds.SIGNED)
    with pytest.raises(seal.BeingSealed):
        questions.answer(asked.pk, by=company.otto, text="Late.")
    with pytest.raises(DatabaseError, match="stays as it is"), transaction.atomic():
        ReviewQuestion.objects.filter(pk=asked.pk).update(answer="x", answered_at=clock.now())
    assert "needs no answer" in visits.text(visits.as_(company.otto).get(f"/review-questions/{asked.pk}/"))
