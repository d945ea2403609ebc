"""Answering a spot check, and what spot checks come to. An answer changes no access, and is given once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.deciders.review_rules import Verb
from governance.eligibility import narrowing
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import item_links
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, ConflictOfInterest, Refused
from governance.reviews.quality.agreement import Agreement
from governance.reviews.reviewers import checkers
from governance.reviews.spot_checks.models import SpotCheck, SpotPlan


class NotTheChecker(DomainError):
    """Only whoever was asked answers a spot check; nobody stands in for her."""

    code, status = "not_the_checker", HTTPStatus.FORBIDDEN


class SpotCheckAnswered(DomainError):
    """The spot check is answered already, and an answer stays."""

    code, status = "spot_check_answered", HTTPStatus.CONFLICT


class SpotCheckOver(DomainError):
    """The spot check was due; it counts as not answered."""

    code, status = "spot_check_over", HTTPStatus.CONFLICT


@transaction.atomic
def answer(check_id: UUID, *, by: Person, verb: str, reason_code: str = "", comment: str = "") -> SpotCheck:
    """Say what one would have answered about an item, not knowing what was; everything but keeping needs a reason.

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


def waiting_for(who: Person) -> QuerySet[SpotCheck]:
    """Return the spot checks that wait for somebody's answer, the most urgent first."""
    rows = SpotCheck.objects.filter(checker=who, answered_at=None, plan__due_at__gt=clock.now())
    return rows.select_related("plan__campaign", *_ABOUT).order_by("plan__due_at", "item__number")


def visible_to(who: Person | None) -> QuerySet[SpotCheck]:
    """Return the spot checks that somebody was asked; nobody else's, and none for a script."""
    rows = SpotCheck.objects.select_related("plan__campaign", *_ABOUT)
    return rows.filter(checker=who) if who is not None and who.is_active else rows.none()


def hidden_from(who: Person) -> list[str]:
    """Return the links of the record under which somebody would read an answer that she is to check."""
    return [f"item:{item}" for item in waiting_for(who).order_by().values_list("item", flat=True)]


def to_follow_up(campaign: Campaign) -> list[SpotCheck]:
    """Return the checks that would take more away, and that whoever runs the review has not followed up."""
    rows = SpotCheck.to_follow_up().filter(plan=campaign.pk)
    return list(rows.select_related("checker", *_ABOUT).order_by("item__number"))


@dataclass(frozen=True, slots=True)
class Result:
    """What the spot checks of a review come to: `sampled` is `answered`, `open`, `unanswered` and `nobody` together."""

    plan: SpotPlan
    sampled: int
    answered: int
    open: int
    unanswered: int
    nobody: int
    passed: int
    agreement: Agreement

    @property
    def is_over(self) -> bool:
        """Whether all that will be answered is."""
        return self.plan.drawn_at is not None and not self.open

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; `could_not_judge` are answered, and in no pair."""
        counts = {name: getattr(self, name) for name in ("sampled", "answered", "open", "unanswered", "nobody")}
        return {**counts, "could_not_judge": self.passed, "agreement": self.agreement.as_json()}


def result(campaign: Campaign) -> Result | None:
    """Count the spot checks of a review as they are now; None where it has none."""
    plan = SpotPlan.objects.select_related("made_by").filter(campaign=campaign).first()
    if plan is None:
        return None
    rows = SpotCheck.objects.filter(plan=plan)
    pairs = _pairs(rows)
    nobody, passed = rows.filter(checker=None).count(), rows.filter(verb=Verb.ABSTAIN).count()
    answered = passed + sum(pairs.values())
    sampled = rows.count()
    left, is_due = sampled - answered - nobody, is_over(plan, clock.now())
    return Result(
        plan, sampled, answered, 0 if is_due else left, left if is_due else 0, nobody, passed, Agreement(pairs)
    )


def is_over(plan: SpotPlan, now: datetime) -> bool:
    """Whether the time to answer is over."""
    return plan.due_at is not None and now >= plan.due_at


def own(campaign: Campaign, person: Person) -> Agreement | None:
    """Say how far the checks agree with somebody's own answers, to herself, once all are over; None where none are."""
    found = result(campaign)
    if found is None or not found.is_over:
        return None
    pairs = _pairs(SpotCheck.objects.filter(plan=campaign.pk, item__current_decision__decided_by=person))
    return Agreement(pairs) if pairs else None


def _pairs(rows: QuerySet[SpotCheck]) -> Counter[tuple[str, str]]:
    judged = rows.exclude(verb="").exclude(verb=Verb.ABSTAIN).order_by()
    counted = judged.values_list("item__current_decision__verb", "verb").annotate(n=Count("pk"))
    return Counter({(said, verb): n for said, verb, n in counted})


def open_until(campaign: Campaign) -> datetime | None:
    """Return until when the evidence of a review waits for spot checks; None where it waits for none."""
    found = result(campaign)
    return found.plan.due_at if found is not None and found.open else None
