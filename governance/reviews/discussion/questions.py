"""Questions of a reviewer to a sponsor or owner of the agent, or to the owner of the system. They decide nothing.

The item stays open and its deadline does not move. The person asked, or their out-of-office delegate, answers once, on
a page of its own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound
from entitlements.people.models import Person
from governance.approvals import question_rules
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion.models import ReviewQuestion
from governance.reviews.items import item_links, visibility
from governance.reviews.items.errors import NotTheReviewer, NotUnderWay
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.visibility import answerable_by
from governance.reviews.reviewers.models import Assignment

from .comments import digest, discussable_item, lock_discussed_campaign

MOST: Final = 20
"""How many questions one item takes."""


class NotToBeAsked(DomainError):
    """You cannot ask this person. Ask an active sponsor or owner of the agent, or the owner of the system."""

    code, status = "not_to_be_asked", HTTPStatus.UNPROCESSABLE_ENTITY


class NotAsked(DomainError):
    """You cannot answer this question: only the person asked, or their delegate who did not ask it, can."""

    code, status = "not_asked", HTTPStatus.FORBIDDEN


@transaction.atomic
def ask(item_id: UUID, *, to: Person, by: Person, text: str) -> ReviewQuestion:
    """Ask a person about an item that waits for the answer of `by`.

    Raises what `discussable_item` raises, NotTheReviewer, NotUnderWay, NotToBeAsked, and what `question_rules` raises.
    """
    words = question_rules.words(text)
    item = discussable_item(item_id, by)
    if not Assignment.objects.filter(answerable_by(by), item=item, state=Assignment.State.ASSIGNED).exists():
        raise NotTheReviewer
    if item.campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    if to not in people_to_ask(item, by=by):
        raise NotToBeAsked(who=to.login)
    question_rules.check_count(item.questions.count(), MOST)
    question = ReviewQuestion.objects.create(item=item, asked_by=by, asked_of=to, text=words, asked_at=clock.now())
    _record(Action.REVIEW_QUESTION_ASKED, question, by, words)
    return question


@transaction.atomic
def answer(question_id: UUID, *, by: Person, text: str) -> ReviewQuestion:
    """Answer a question as the person asked or their delegate, once, until the review is signed off.

    The item stays as it is.
    Raises NotFound, NotAsked, NotUnderWay, AlreadySealed, BeingSealed, and what `question_rules` raises.
    """
    words = question_rules.words(text)
    rows = ReviewQuestion.objects.select_for_update(of=("self",)).select_related("item", "asked_by", "asked_of")
    question = rows.filter(pk=question_id).first()
    if question is None:
        raise NotFound
    if not may_answer(question, by):
        raise NotAsked
    lock_discussed_campaign(question.item.campaign_id)
    question_rules.check_unanswered(question)
    question.answer, question.answered_by, question.answered_at = words, by, clock.now()
    question.save(update_fields=["answer", "answered_by", "answered_at"])
    _record(Action.REVIEW_QUESTION_ANSWERED, question, by, words)
    return question


def may_answer(question: ReviewQuestion, person: Person) -> bool:
    """Whether a person may answer: they are asked, or the delegate of who is, and did not ask by any account."""
    if independence.same_human(question.asked_by, person):
        return False
    is_hers = person.pk == question.asked_of_id
    return is_hers or delegations.delegators_of(person).filter(pk=question.asked_of_id).exists()


def people_to_ask(item: ReviewItem, *, by: Person) -> list[Person]:
    """Return whom a reviewer may ask about an item, by name: sponsor and owners of its agent, owner of its system."""
    agent, system = item.agent, item.system
    knows = [*((agent.sponsor, agent.owner, agent.backup) if agent else ()), *((system.owner,) if system else ())]
    mine = independence.accounts_of(by)
    people = {each.pk: each for each in knows if each is not None and each.is_active and each not in mine}
    return sorted(people.values(), key=lambda each: (each.name, each.pk))


def visible_to(person: Person | None) -> QuerySet[ReviewQuestion]:
    """Return the questions that a person may read: about items they see, and those they asked, are asked or answered.

    That includes questions to people whose delegate they are now.
    """
    rows = ReviewQuestion.objects.select_related(
        "item__campaign", "item__agent", "item__system", "asked_by", "asked_of", "answered_by"
    )
    if person is not None and not person.is_active:
        return rows.none()
    seen = Q(item__in=visibility.items_visible_to(person).order_by().values("pk"))
    if person is None:
        return rows.filter(seen)
    return rows.filter(_asked_of(person) | Q(asked_by=person) | Q(answered_by=person) | seen)


def waiting_for(person: Person) -> QuerySet[ReviewQuestion]:
    """Return the open questions to a person, or to people whose delegate they are, the oldest first."""
    rows = ReviewQuestion.objects.filter(_asked_of(person), answer="", item__state=ReviewItem.State.IN_REVIEW)
    rows = rows.exclude(asked_by__in=[each.pk for each in independence.accounts_of(person)])
    under_way = rows.filter(item__campaign__state__in=[Campaign.State.ACTIVE, Campaign.State.PAUSED])
    relations = ("item__campaign", "item__agent", "item__system", "asked_by", "asked_of")
    return under_way.select_related(*relations).order_by("asked_at")


def _asked_of(who: Person) -> Q:
    """Select what waits for somebody's own word, or for that of somebody for whom she stands in now."""
    return Q(asked_of__in=[who.pk, *delegations.delegators_of(who).values_list("pk", flat=True)])


def _record(action: Action, question: ReviewQuestion, by: Person, words: str) -> None:
    people = list(dict.fromkeys([question.asked_by, question.asked_of, by]))
    place = question.in_place_of
    log.record(
        action,
        about=[
            *item_links.about(question.item),
            f"question:{question.pk}",
            *(f"person:{each.login}" for each in people),
        ],
        by=by.principal,
        reason=words,
        detail={
            "question": str(question.pk),
            "asked_by": question.asked_by.login,
            "asked_of": question.asked_of.login,
            "sha256": digest(words),
            **({"in_place_of": place.login} if place else {}),
        },
    )
