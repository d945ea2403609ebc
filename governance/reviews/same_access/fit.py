"""Whether a decision about the same access may settle an open item: facts read once, and the rules of decision 52."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from entitlements.conflicts import independence
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest import rules as conflicts
from governance.conflicts_of_interest.routing import ItemPeople
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import outcome as outcome_actions
from governance.reviews.items import review_rules
from governance.reviews.items.answer import lacking
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import Verb
from governance.reviews.reviewers import facts as reviewer_facts
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions.models import Suggestion

OWN_LOOK: Final = (
    ReviewTrigger.Kind.COMBINATION,
    ReviewTrigger.Kind.TOOL_CHANGED,
    ReviewTrigger.Kind.AGENT_CHANGED,
    ReviewTrigger.Kind.SPOT_CHECK,
)
"""Causes that a reviewer of another item may not know: only a removal settles such a review."""
_BY_HAND: Final = (review_rules.ASSIGNED, review_rules.CLAIMED)
type Items = dict[UUID, ReviewItem]


@dataclass(frozen=True, slots=True)
class Source:
    """A decided item: the decision that is its outcome, and the answers that count for it, by stage."""

    outcome: ReviewDecision
    answers: Sequence[ReviewDecision]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of open items: the people around them by stage, their own answers, who is asked, suggestions."""

    people: Mapping[int, Mapping[UUID, ItemPeople]]
    accounts: Mapping[Person, Sequence[Person]]
    answered: Collection[UUID]
    asked: Mapping[UUID, Assignment]
    verdicts: Mapping[UUID, str]
    causes: Mapping[UUID, str]


def sources(decisions: Collection[UUID]) -> dict[UUID, Source]:
    """Read the decided items of some decisions, with the answers that count for each."""
    outcomes = {each.pk: each for each in _read(ReviewDecision.objects.filter(pk__in=decisions))}
    answers: dict[UUID, list[ReviewDecision]] = {each.item_id: [] for each in outcomes.values()}
    for each in _read(outcome_actions.standing().filter(item__in=list(answers))).order_by("stage"):
        answers[each.item_id].append(each)
    return {pk: Source(each, answers[each.item_id]) for pk, each in outcomes.items()}


def _read(rows: QuerySet[ReviewDecision]) -> QuerySet[ReviewDecision]:
    return rows.select_related("item__campaign", "decided_by", "assignment__reviewer")


def facts(held: Items, decided: Sequence[Source]) -> Facts:
    """Read all that deciding needs, once the items are held."""
    answers = [each for source in decided for each in source.answers]
    live = Assignment.objects.filter(item__in=held, state=Assignment.State.ASSIGNED).select_related("reviewer")
    causes = ReviewTrigger.objects.filter(campaign__items__in=held)
    return Facts(
        people={stage: dict(reviewer_facts.people_of_items(held, stage)) for stage in {each.stage for each in answers}},
        accounts={voice: independence.accounts_of(voice) for answer in answers for voice in _voices(answer)},
        answered=set(outcome_actions.standing().filter(item__in=held).values_list("item", flat=True)),
        asked={each.item_id: each for each in live},
        verdicts=dict(Suggestion.objects.filter(item__in=held).values_list("item", "verdict")),
        causes=dict(causes.values_list("campaign__items", "kind")),
    )


def _voices(answer: ReviewDecision) -> set[Person]:
    """Return who gave an answer, and the reviewer in whose place they did."""
    return {answer.decided_by, answer.assignment.reviewer or answer.decided_by}


def fits(item: ReviewItem, source: Source, known: Facts) -> bool:
    """Whether a decision about the same access may settle an item; a removal needs no more than to be independent."""
    if any(_is_barred(item, each, known) for each in source.answers):
        return False
    return source.outcome.verb == Verb.REVOKE or _is_strict_enough(item, source, known)


def _is_strict_enough(item: ReviewItem, source: Source, known: Facts) -> bool:
    """Whether a decision that keeps access asks for as much as an item does."""
    answers, risk, verdict = source.answers, Risk(item.risk), known.verdicts.get(item.pk, "")
    is_small = source.outcome.item.campaign.kind == Campaign.Kind.MICRO
    asks_for_more = (
        item.pk in known.answered,
        known.causes.get(item.pk) in OWN_LOOK,
        item.stages > (1 if is_small else len({each.stage for each in answers})),
        risk.rank >= Risk.HIGH.rank and verdict == Suggestion.Verdict.LOOK,
        item.is_whole and any(each.verb != Verb.CERTIFY or each.valid_until for each in answers),
        any(lacking(each.verb, each.reason_code, each.comment, risk, verdict) for each in answers),
    )
    return not any(asks_for_more) and all(_is_asked(item, stage, source, known) for stage in range(1, item.stages + 1))


def _is_barred(item: ReviewItem, answer: ReviewDecision, known: Facts) -> bool:
    """Whether a person behind an answer cannot give it to this item: by a conflict of interest, or having abstained."""
    people = known.people[answer.stage][item.pk]
    logins = [account.login for person in _voices(answer) for account in known.accounts[person]]
    return not people.abstained.isdisjoint(logins) or conflicts.conflict(logins, people) is not None


def _is_asked(item: ReviewItem, stage: int, source: Source, known: Facts) -> bool:
    """Whether a person whom an item asks at a stage, or would ask by its chain, gave an answer of that stage.

    Where a reviewer was named by hand, it is that person alone. What asks one person takes any stage.
    """
    live = known.asked.get(item.pk)
    reviewers = {live.reviewer.login} if stage == 1 and live and live.reviewer else set[str]()
    if stage > 1 or not reviewers or (live and live.resolution.get("rule") not in _BY_HAND):
        reviewers |= routing.reviewers(known.people[stage][item.pk]).asked
    answers = (each for each in source.answers if item.stages == 1 or each.stage == stage)
    return any(voice.login in reviewers for each in answers for voice in _voices(each))
