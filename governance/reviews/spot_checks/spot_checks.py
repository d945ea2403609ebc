"""Answers to spot checks, and their results. A checker answers once, and the answer changes no access."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.eligibility import narrowing
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import item_links
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, ConflictOfInterest, Refused
from governance.reviews.items.review_rules import Verb
from governance.reviews.reviewers import checkers
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan


class NotTheChecker(DomainError):
    """You cannot answer this spot check because you are not its checker. A delegate cannot answer it either."""

    code, status = "not_the_checker", HTTPStatus.FORBIDDEN


class SpotCheckAnswered(DomainError):
    """The spot check is already answered, and its answer cannot be changed."""

    code, status = "spot_check_answered", HTTPStatus.CONFLICT


class SpotCheckOver(DomainError):
    """You cannot answer this spot check because it was due. It counts as not answered."""

    code, status = "spot_check_over", HTTPStatus.CONFLICT


@transaction.atomic
def answer(check_id: UUID, *, by: Person, verb: str, reason_code: str = "", comment: str = "") -> SpotCheck:
    """Answer a spot check without knowing the reviewer's answer. Every answer but `certify` needs a reason.

    Raises NotFound, NotTheChecker, SpotCheckAnswered, SpotCheckOver, BadAnswer, ReasonRequired, ConflictOfInterest,
    narrowing.ReasonTooLong, Refused.
    """
    check = (
        SpotCheck.objects.select_for_update(of=("self",)).select_related("plan", *_ABOUT).filter(pk=check_id).first()
    )
    if check is None:
        raise NotFound
    if check.checker_id != by.pk:
        raise NotTheChecker
    if check.answered_at is not None:
        raise SpotCheckAnswered
    now = clock.now()
    if check.plan.due_at is None or now >= check.plan.due_at:
        raise SpotCheckOver
    Answer(verb, reason_code).check(now)
    if not verb:
        raise BadAnswer(field="verb")
    narrowing.check_size({}, comment)
    if verb != Verb.CERTIFY and not reason_code:
        raise ReasonRequired
    by.refresh_from_db(fields=["is_active"])
    ((_item, people),) = checkers.of_items([check.item_id])
    why = checkers.against(by, check.item_id, people)
    if why is not None:
        raise ConflictOfInterest(who=by.login, why=why.value)
    check.verb, check.reason_code, check.comment, check.answered_at = verb, reason_code, comment.strip(), now
    try:
        with transaction.atomic():
            check.save(update_fields=["verb", "reason_code", "comment", "answered_at"])
    except IntegrityError as error:
        raise Refused from error
    log.record(
        Action.SPOT_CHECK_ANSWERED,
        about=[*item_links.about(check.item), f"spot_check:{check.pk}"],
        by=by.principal,
        reason=check.comment,
        detail={"verb": verb, "reason_code": reason_code},
    )
    return check


_ABOUT = ("item__campaign__owner", "item__agent", "item__system", "item__holder", "item__current_decision")


def waiting_for(person: Person) -> QuerySet[SpotCheck]:
    """Return the open spot checks of a person, the most urgent first."""
    rows = SpotCheck.objects.filter(checker=person, answered_at=None, plan__due_at__gt=clock.now())
    return rows.select_related("plan__campaign", *_ABOUT).order_by("plan__due_at", "item__number")


def visible_to(person: Person | None) -> QuerySet[SpotCheck]:
    """Return the spot checks of an active person; none for a script."""
    rows = SpotCheck.objects.select_related("plan__campaign", *_ABOUT)
    return rows.filter(checker=person) if person is not None and person.is_active else rows.none()


def hidden_from(person: Person) -> list[str]:
    """Return the links of the audit log that would show a checker the answers that they are to check."""
    return [f"item:{item}" for item in waiting_for(person).order_by().values_list("item", flat=True)]


def to_follow_up(campaign: Campaign) -> list[SpotCheck]:
    """Return the checks that would remove more and that the owner has not followed up."""
    rows = SpotCheck.to_follow_up().filter(plan=campaign.pk)
    return list(rows.select_related("checker", *_ABOUT).order_by("item__number"))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `n` checks that judge, `agree` answer as the reviewer did; `percent` is None where none judges."""

    n: int
    agree: int
    percent: int | None

    @classmethod
    def count(cls, checks: QuerySet[SpotCheck]) -> Agreement:
        """Count checks; those without an answer, and abstentions, judge nothing."""
        judging = checks.exclude(verb__in=("", Verb.ABSTAIN))
        n, agree = judging.count(), judging.filter(verb=F("item__current_decision__verb")).count()
        return cls(n, agree, 100 * agree // n if n else None)


@dataclass(frozen=True, slots=True)
class Result:
    """The results of a review's spot checks. `nobody` counts checks without a checker; `sampled` is the sum."""

    plan: SpotCheckPlan
    sampled: int
    answered: int
    open: int
    unanswered: int
    nobody: int
    passed: int
    agreement: Agreement

    @property
    def is_over(self) -> bool:
        """Whether no check is open any more."""
        return self.plan.drawn_at is not None and not self.open

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; `could_not_judge` are abstentions: answered, and in no pair."""
        counts = {name: getattr(self, name) for name in ("sampled", "answered", "open", "unanswered", "nobody")}
        return {**counts, "could_not_judge": self.passed, "agreement": asdict(self.agreement)}


def result(campaign: Campaign) -> Result | None:
    """Count the spot checks of a review as they are now; None where it has none."""
    plan = SpotCheckPlan.objects.select_related("made_by").filter(campaign=campaign).first()
    if plan is None:
        return None
    rows = SpotCheck.objects.filter(plan=plan)
    agreement = Agreement.count(rows)
    nobody, passed = rows.filter(checker=None).count(), rows.filter(verb=Verb.ABSTAIN).count()
    answered = passed + agreement.n
    sampled = rows.count()
    remaining, is_due = sampled - answered - nobody, is_over(plan, clock.now())
    return Result(
        plan, sampled, answered, 0 if is_due else remaining, remaining if is_due else 0, nobody, passed, agreement
    )


def is_over(plan: SpotCheckPlan, now: datetime) -> bool:
    """Whether the time to answer is over."""
    return plan.due_at is not None and now >= plan.due_at


def own_agreement(campaign: Campaign, person: Person) -> Agreement | None:
    """Return how far the checks agree with a reviewer's own answers, once all checks are over; None without any."""
    overall = result(campaign)
    if overall is None or not overall.is_over:
        return None
    own = Agreement.count(SpotCheck.objects.filter(plan=campaign.pk, item__current_decision__decided_by=person))
    return own if own.n else None


def open_until(campaign: Campaign) -> datetime | None:
    """Return until when the evidence of a review waits for open spot checks; None where none is open."""
    current = result(campaign)
    return current.plan.due_at if current is not None and current.open else None
