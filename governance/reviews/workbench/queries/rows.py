"""The items that a reviewer answers, each as one row: what it grants, its use, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from audit import clock
from entitlements.conflicts import independence
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import (
    facts,
    review_rules,
    subject_words,
    violation_queries,
    violations,
    visibility,
)
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import snapshot
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import queries as suggestion_queries
from governance.reviews.usage import usage


def assigned(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return the items of a campaign that a person reviews or reviewed, for themselves or as a delegate."""
    decisions = ReviewDecision.objects.filter(item__campaign=campaign, decided_by=person)
    item_ids = open_assignments(campaign, person).order_by().values("item").union(decisions.order_by().values("item"))
    return ReviewItem.objects.filter(pk__in=item_ids, campaign=campaign)


def to_answer(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return the items that wait for a person's answer now, with their draft and the earlier answers.

    The items are listed by key: with a subquery, PostgreSQL reads the items of every reviewer.
    """
    item_ids = list(open_assignments(campaign, person).order_by().values_list("item", flat=True))
    rows = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, pk__in=item_ids)
    return with_details(rows, person)


def answered_by(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return the items that a person answered, with their answers."""
    decisions = ReviewDecision.objects.filter(item__campaign=campaign, decided_by=person, taken_back=None)
    item_ids = set(decisions.values_list("item", flat=True))
    return _with_lines(ReviewItem.objects.filter(campaign=campaign, pk__in=item_ids))


def open_assignments(campaign: Campaign, person: Person) -> QuerySet[Assignment]:
    """Return the open assignments of a person, their own and those they hold as a delegate."""
    own = visibility.answerable_by(person)
    return Assignment.objects.filter(own, item__campaign=campaign, state=Assignment.State.ASSIGNED)


def with_details(rows: QuerySet[ReviewItem], person: Person) -> QuerySet[ReviewItem]:
    """Return items with what their pages show, and the reader's draft of those they review."""
    own = visibility.answerable_by(person)
    assignments = Assignment.objects.filter(own, state=Assignment.State.ASSIGNED).select_related("draft", "reviewer")
    return _with_lines(rows).prefetch_related(Prefetch("assignments", assignments, to_attr="own_assignments"))


def _with_lines(rows: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    lines = ReviewLine.objects.select_related("tool", "grant__entitlement").order_by("tool__name", "pk")
    past = ReviewDecision.objects.filter(taken_back=None).select_related("decided_by").order_by("stage", "decided_at")
    return rows.select_related(
        "agent__sponsor", "system", "current_decision", "campaign", "suggestion"
    ).prefetch_related(Prefetch("lines", lines), Prefetch("decisions", past, to_attr="past_decisions"))


@dataclass(frozen=True, slots=True)
class Row:
    """One item as the workbench shows it, with the reviewer's draft."""

    item: ReviewItem
    lines: list[dict[str, Any]]
    draft: Draft | None
    advice: suggestion_queries.Advice | None = None
    spark: suggestion_queries.Spark | None = None
    person: Person | None = None
    sentences: Sequence[str] = ()
    level: Risk = Risk.LOW
    violations: Sequence[violation_queries.Violation] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_parts(self) -> bool:
        """Whether a reviewer may keep some of it: access and entitlements have tools."""
        return self.item.has_parts

    @property
    def is_access(self) -> bool:
        """Whether it is access, whose limits a reviewer may tighten."""
        return self.item.subject_kind == ReviewItem.Subject.ACCESS

    @property
    def may_end(self) -> bool:
        """Whether a reviewer may keep it with an earlier end: access that is not kept as a whole."""
        return self.is_access and not self.item.is_whole

    @property
    def before(self) -> list[ReviewDecision]:
        """The earlier answers of other reviewers, in this review."""
        decisions: list[ReviewDecision] = getattr(self.item, "past_decisions", [])
        return [decision for decision in decisions if decision.decided_by != self.person]

    @property
    def mine(self) -> ReviewDecision | None:
        """The last answer that the reader gave."""
        decisions: list[ReviewDecision] = getattr(self.item, "past_decisions", [])
        return next((decision for decision in reversed(decisions) if decision.decided_by == self.person), None)

    @property
    def may_recall(self) -> bool:
        """Whether the reader may still recall that answer."""
        mine = self.mine
        return (
            mine is not None
            and mine.verb != "abstain"
            and self.item.campaign.state == Campaign.State.ACTIVE
            and self.item.state in recall.RECALLED_IN
            and clock.now() <= mine.decided_at + review_rules.RECALL
            and not any(each.stage > mine.stage and each.verb != "abstain" for each in self.before)
        )

    @property
    def in_place_of(self) -> Person | None:
        """For whom the reader answers as a delegate; None where the item is their own."""
        assignments: list[Assignment] = getattr(self.item, "own_assignments", [])
        reviewer = assignments[0].reviewer if assignments else None
        return reviewer if reviewer != self.person else None

    @property
    def is_opened(self) -> bool:
        """Whether the reader opened its evidence."""
        assignments: list[Assignment] = getattr(self.item, "own_assignments", [])
        return any(each.evidence_opened_at and each.is_seen_by(self.person) for each in assignments)

    @property
    def since_last(self) -> str:
        """What is new about it since the last review, by the signals of its suggestion."""
        suggestion = getattr(self.item, "suggestion", None)
        signals = {reason["signal"] for reason in suggestion.reasons} if suggestion else set()
        if signals & {"F1", "F2"}:
            return _("Changed")
        return _("New") if "N1" in signals else ""

    @property
    def name(self) -> str:
        """What it is about."""
        return self.item.name

    @property
    def rev(self) -> int:
        """The revision of the draft, 0 where there is none."""
        return self.draft.rev if self.draft else 0

    @property
    def people(self) -> list[str]:
        """Whom the agent acts for: people by display name, groups by their name."""
        return [self.names.get(subject) or subject.partition(":")[2] for subject in self.item.subjects]

    @property
    def is_seen(self) -> bool:
        """Whether the calls of every line are visible."""
        return bool(self.lines) and all(line["seen"] for line in self.lines)

    @property
    def used(self) -> int:
        """How many lines were called at all."""
        return sum(bool(line["row"].calls_window) for line in self.lines)

    @property
    def calls(self) -> int:
        """How often its tools were called."""
        return sum(line["row"].calls_window or 0 for line in self.lines)

    @property
    def is_unused(self) -> bool:
        """Whether no tool of it was used: every call is visible, and the window is complete."""
        return bool(self.lines) and all(line["unused"] for line in self.lines)

    @property
    def verdict(self) -> str:
        """The suggested verdict; empty where there is none."""
        suggestion = getattr(self.item, "suggestion", None)
        return suggestion.verdict if suggestion else ""

    @property
    def is_weighty(self) -> bool:
        """Whether it has a high risk level, so that a reviewer opens it before they keep it."""
        return self.level.rank >= Risk.HIGH.rank

    @property
    def must_be_opened(self) -> bool:
        """Whether the reader has to open its evidence before they keep it."""
        return self.is_weighty and not self.is_opened

    @property
    def may_keep_some(self) -> bool:
        """Whether it has several tools of which some can stay."""
        return self.has_parts and len(self.lines) > 1

    @property
    def needs_reason(self) -> bool:
        """Whether keeping it needs a reason."""
        return review_rules.needs_reason(review_rules.Verb.CERTIFY, Risk(self.item.risk), self.verdict)

    @property
    def needs_words(self) -> bool:
        """Whether keeping it needs a reason in the reviewer's own words."""
        return review_rules.needs_words(review_rules.Verb.CERTIFY, Risk(self.item.risk))


def rows(items: Sequence[ReviewItem], person: Person | None = None, *, whole: bool = False) -> list[Row]:
    """Prepare items for the workbench, each with the lines that no earlier answer has taken away, or with all."""
    left = {} if whole else facts.lines_left(item.pk for item in items)
    held = {item.pk: {line.grant_id for line in item.lines.all() if line.grant_id} for item in items}
    weeks = usage.weekly({grant for grants in held.values() for grant in grants}, clock.now())
    sentences, names = subject_words.sentences(items), subject_words.display_names(items)
    broken = {} if whole else violations.of_items(_waiting(items), left)
    accounts = {each.pk for each in independence.accounts_of(person)} if broken and person else set[int]()
    return [
        Row(
            item,
            [_line(line, item) | _tick(line, item) for line in item.lines.all() if whole or line.pk in left[item.pk]],
            _draft(item),
            _advice(item),
            _spark([weeks[grant] for grant in held[item.pk] if grant in weeks]),
            person,
            sentences.get(item.pk, ()),
            violations.level(item, broken.get(item.pk, ())),
            [violation_queries.describe(item, each, accounts) for each in broken.get(item.pk, ())],
            names,
        )
        for item in items
    ]


def _waiting(items: Iterable[ReviewItem]) -> list[ReviewItem]:
    return [item for item in items if item.state == ReviewItem.State.IN_REVIEW]


def _advice(item: ReviewItem) -> suggestion_queries.Advice | None:
    suggestion = getattr(item, "suggestion", None)
    return suggestion_queries.advice(suggestion, list(item.lines.all())) if suggestion else None


def _spark(weeks: Sequence[Sequence[int]]) -> suggestion_queries.Spark | None:
    """Draw the weekly calls of an item's grants; None where there were no calls."""
    together = [sum(each) for each in zip(*weeks, strict=True)]
    return suggestion_queries.spark(together) if any(together) else None


def _draft(item: ReviewItem) -> Draft | None:
    assignments: list[Assignment] = getattr(item, "own_assignments", [])
    return next((each.draft for each in assignments if hasattr(each, "draft")), None)


def _tick(line: ReviewLine, item: ReviewItem) -> dict[str, bool]:
    """Return whether a line is ticked in the form that keeps some: as drafted, else as suggested."""
    suggestion, draft = getattr(item, "suggestion", None), _draft(item)
    suggested = suggestion is None or suggestion.verdict != "reduce" or line.pk in suggestion.kept
    kept = line.pk in draft.kept_lines if draft and draft.verb == review_rules.Verb.REDUCE else suggested
    return {"suggested": suggested, "kept": kept}


def _line(line: ReviewLine, item: ReviewItem) -> dict[str, Any]:
    """Return a line with its usage; it counts as unused only when its whole window is known."""
    seen = line.usage_grade == ReviewLine.Grade.CALLS
    taken = item.campaign.snapshot_at or clock.now()
    suggestion = getattr(item, "suggestion", None)
    full = {each["line"]: each["full"] for each in suggestion.inputs["lines"]} if suggestion and seen else {}
    young = not full.get(line.pk, line.grant is None or line.grant.starts_at <= taken - snapshot.WINDOW)
    return {"row": line, "seen": seen, "young": young, "unused": seen and not young and line.calls_window == 0}


def drafted(campaign: Campaign, person: Person) -> list[Draft]:
    """Return the drafts that a person would submit now, the highest risk first."""
    drafts = submission.drafts_of(campaign, person).select_related(
        "assignment__item__agent", "assignment__item__system", "assignment__item__campaign", "saved_by"
    )
    return list(drafts.order_by("assignment__item__number"))
