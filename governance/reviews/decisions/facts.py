"""What judging drafted answers needs, read once after the locks: as many statements for sixty items as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.db.models import Max

from audit import clock
from entitlements.conflicts import independence
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import facts as item_facts
from governance.reviews.items import violations as item_violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers import facts as reviewer_facts
from governance.reviews.suggestions.models import Suggestion
from governance.sod.check import PolicyViolation
from governance.sod.models import SodException

from . import rules
from .rules import Case, Drafted, Earlier, Holdings, Revisions, Violation


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """The rows that a submission writes from, and the case that is judged.

    `versions` are those of the items' suggestions; `exceptions` are those that cover what the answer to an item keeps.
    """

    drafts: Sequence[Draft]
    ended: Sequence[ReviewItem]
    versions: Mapping[UUID, str]
    exceptions: Mapping[UUID, Sequence[SodException]]
    case: Case

    @classmethod
    def read(
        cls,
        campaign: Campaign,
        drafts: Sequence[Draft],
        listed: Revisions,
        *,
        by: Person,
        tag: str | None,
        proven: bool,
    ) -> Self:
        """Read them for drafts that are held, with their items and the campaign. `listed` is what was to be held."""
        answers = {draft.assignment.item_id: draft.answer for draft in drafts}
        items = ReviewItem.objects.filter(pk__in=[item for item, _rev in listed.values()])
        ended = list(items.filter(state=ReviewItem.State.SUPERSEDED).select_related("agent").order_by("number"))
        suggestions = Suggestion.objects.only("verdict", "version").in_bulk(list(answers))
        held = holdings_of(drafts)
        people = reviewer_facts.people_at((draft.assignment.item_id, draft.assignment.stage) for draft in drafts)
        voices, earlier = voices_of(drafts, by), _earlier(answers)
        violated = violations(drafts, {item: each.lines for item, each in held.items()})
        case = Case(
            now=clock.now(),
            is_under_way=campaign.state == Campaign.State.ACTIVE,
            is_active=by.is_active,
            is_proven=proven,
            tag=tag,
            listed=listed,
            held={draft.pk: (draft.assignment.item_id, draft.rev) for draft in drafts},
            ended=frozenset(item.pk for item in ended),
            drafts=[
                Drafted(
                    item=(item := draft.assignment.item).pk,
                    name=item.agent_slug or item.name,
                    answer=answers[item.pk],
                    stage=draft.assignment.stage,
                    stages=item.stages,
                    risk=Risk(item.risk),
                    holdings=held[item.pk],
                    people=people[item.pk],
                    voices=voices[item.pk],
                    suggestion=suggestions[item.pk].verdict if item.pk in suggestions else "",
                    violations=judged(violated.get(item.pk, ())),
                    earlier=earlier[item.pk],
                )
                for draft in drafts
            ],
        )
        versions = {pk: each.version for pk, each in suggestions.items()}
        exceptions = {item: _exceptions(completed) for item, completed in violated.items()}
        return cls(drafts, ended, versions, exceptions, case)


def holdings(answers: Mapping[UUID, tuple[ReviewItem, Answer]]) -> dict[UUID, Holdings]:
    """Read what the answer to each item is judged against; ends and limits where an answer has some."""
    if not answers:
        return {}
    left = item_facts.lines_left(answers)
    ending = [pk for pk, (_item, answer) in answers.items() if answer.valid_until]
    rows = PopulationRow.objects.filter(item__in=ending, grant__ended_at=None).order_by().values_list("item")
    ends = dict(rows.annotate(end=Max("grant__expires_at")))
    limited = [line for _item, answer in answers.values() if answer.limits for line in answer.kept]
    limits = dict(ReviewLine.objects.filter(pk__in=limited).values_list("pk", "limits"))
    return {
        pk: Holdings(
            item.subject_kind,
            item.is_whole,
            left[pk],
            ends.get(pk),
            {line: limits[line] for line in answer.kept if line in limits},
        )
        for pk, (item, answer) in answers.items()
    }


def holdings_of(drafts: Iterable[Draft]) -> dict[UUID, Holdings]:
    """Read what drafted answers are judged against."""
    return holdings({draft.assignment.item_id: (draft.assignment.item, draft.answer) for draft in drafts})


def outdated(drafts: Sequence[Draft]) -> dict[UUID, str]:
    """Return the part of each answer that does not fit its item any more, for the items that have one."""
    answers = {draft.assignment.item_id: draft.answer for draft in drafts}
    parts = ((item, rules.fit_again(answers[item], held, clock.now())[1]) for item, held in holdings_of(drafts).items())
    return {item: part for item, part in parts if part}


def voices_of(drafts: Sequence[Draft], by: Person) -> dict[UUID, list[str]]:
    """Return the accounts behind the answer to each item: of who submits it, and of the reviewer in whose place."""
    reviewers = {draft.assignment.item_id: {by, draft.assignment.reviewer or by} for draft in drafts}
    accounts = {voice: independence.accounts_of(voice) for voice in {by}.union(*reviewers.values())}
    return {
        item: [account.login for voice in sorted(voices, key=lambda each: each.login) for account in accounts[voice]]
        for item, voices in reviewers.items()
    }


def violations(
    drafts: Sequence[Draft], left: Mapping[UUID, Collection[int]], only: UUID | None = None
) -> dict[UUID, list[PolicyViolation]]:
    """Read the SoD violations that each answer keeps, or that to one item. What the answers cut now is taken away.

    A delegation that ends may go on for other people, so that it takes no tools from the agent.
    """
    items = {draft.assignment.item: draft.answer for draft in drafts}
    kept = {item.pk: set(answer.keeps(left[item.pk])) for item, answer in items.items()}
    cutting = [item.pk for item, answer in items.items() if answer.cuts_now and item.subject_kind == rules.ACCESS]
    cut = {line for item in cutting for line in set(left[item]) - kept[item]}
    return item_violations.of_items([item for item in items if only in (None, item.pk)], kept, cut)


def judged(completed: Iterable[PolicyViolation]) -> list[Violation]:
    """Return violations as they are judged."""
    return [
        Violation(
            each.rule.name, each.agent.slug, each.agent.name, each.exception.given_by.login if each.exception else ""
        )
        for each in completed
    ]


def _exceptions(violations: Iterable[PolicyViolation]) -> list[SodException]:
    return list({each.exception.pk: each.exception for each in violations if each.exception}.values())


def _earlier(items: Collection[UUID]) -> dict[UUID, list[Earlier]]:
    earlier: dict[UUID, list[Earlier]] = defaultdict(list)
    rows = ReviewDecision.objects.filter(item__in=items, successor=None).order_by("stage")
    for item, pk, stage, verb, taken_back in rows.values_list("item", "pk", "stage", "verb", "taken_back"):
        earlier[item].append(Earlier(pk, stage, verb, taken_back is not None))
    return earlier
