"""What the pages of reviews read: how far a campaign has come, who answers, one reviewer's items with their usage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Prefetch, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.conflicts import independence
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.charts import geometry, plots
from governance.deciders import review_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import reminders
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import subject_words, tallies, validity, violation_queries, violations, visibility
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.newer_signals import queries as newer_signal_queries
from governance.reviews.population import scopes, snapshot
from governance.reviews.reviewers.models import Assignment
from governance.reviews.usage import usage

OUTCOMES: Final = (
    ("certify", gettext_lazy("Kept")),
    ("reduce", gettext_lazy("Kept in part")),
    ("revoke", gettext_lazy("Removed")),
    ("superseded", gettext_lazy("Ended meanwhile")),
    ("carried_forward", gettext_lazy("Decided in another review")),
    ("excluded", gettext_lazy("Left out")),
    ("no_response", gettext_lazy("Not answered")),
    ("in_review", gettext_lazy("Open")),
)
MOST_REVIEWERS: Final = 200
MOST_UNRESOLVED: Final = 100
"""How many reviewers the page of a campaign shows; the others have less to answer."""
WIDTH: Final = 600
"""Units of a bar's drawing, which scales to its place."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar, drawn from `start` on, `width` wide of WIDTH."""

    name: str
    label: Any
    count: int
    percent: float
    start: float
    width: float

    @property
    def hatch(self) -> str:
        """The lines that tell it from the part beside it, as a path."""
        return plots.hatch(self.name, self.start, self.width, 16, 6)

    @property
    def swatch(self) -> str:
        """The same in the size of a key."""
        return plots.hatch(self.name, 0, 12, 12, 4)


def progress(campaign: Campaign) -> list[Part]:
    """Return the outcomes of a campaign as the parts of one bar."""
    counted = tallies.outcomes(campaign)
    everything = sum(counted.values()) or 1
    parts, start = [], 0.0
    for name, label in OUTCOMES:
        count = counted.get(name, 0)
        width = WIDTH * count / everything
        parts.append(Part(name, label, count, 100 * count / everything, start, width))
        start += width
    return parts


def answered(parts: Sequence[Part]) -> int:
    """Return the whole per cent of items that have an outcome; never a hundred while one is open."""
    still_open = next(part.count for part in parts if part.name == "in_review")
    share = sum(part.percent for part in parts if part.name != "in_review")
    return min(round(share), 99) if still_open else 100


def burn_down(campaign: Campaign) -> geometry.BurnDown | None:
    """Return what was open on each day since the campaign began, up to today or its end; nothing before it began."""
    if campaign.snapshot_at is None:
        return None
    total, done = tallies.by_day(campaign)
    last = campaign.closing_at or clock.now()
    told = reminders.days(campaign.snapshot_at, campaign.due_at)
    return geometry.burn_down(total, done, campaign.snapshot_at.date(), last.date(), campaign.due_at.date(), told)


def reviewers(campaign: Campaign) -> tuple[list[dict[str, Any]], int]:
    """Return who has most open, with how many items are hers, drafted and submitted, those of nobody first.

    Beside it how many others there are, who have less.
    """
    told = tallies.reviewers(campaign)
    told.sort(key=lambda row: (row["login"] is not None, -row["open"], row["name"] or ""))
    shown = told[:MOST_REVIEWERS]
    theirs = [row["reviewer"] for row in shown if row["reviewer"]]
    drafts = Draft.objects.filter(
        assignment__reviewer__in=theirs,
        assignment__state=Assignment.State.ASSIGNED,
        assignment__item__campaign=campaign,
    ).exclude(verb="")
    counted = dict(drafts.values_list("assignment__reviewer").annotate(n=Count("pk")))
    return [{**row, "drafted": counted.get(row["reviewer"], 0)} for row in shown], len(told) - len(shown)


def ended_grants(campaign: Campaign) -> list[Grant]:
    """Return the first of the access that was in force within the window, and over when the population was taken."""
    rows = scopes.ended_grants(campaign)
    first = list(rows.order_by("-ended_at", "pk").values_list("pk", flat=True)[:100])
    found = Grant.objects.filter(pk__in=first).select_related("agent", "entitlement__system")
    return list(found.order_by("-ended_at", "pk"))


def unresolved(campaign: Campaign) -> list[Assignment]:
    """Return the first of the open items that wait for a reviewer to be named, with who was passed over and why."""
    rows = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED, reviewer=None
    )
    return list(rows.select_related("item__agent", "item__system").order_by("item__number")[:MOST_UNRESOLVED])


def assigned(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return the items of a campaign that somebody answers or answered, in her own place or another's."""
    said = ReviewDecision.objects.filter(item__campaign=campaign, decided_by=person)
    hers = open_assignments(campaign, person).order_by().values("item").union(said.order_by().values("item"))
    return ReviewItem.objects.filter(pk__in=hers, campaign=campaign)


def to_answer(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return those of them that wait for her answer now, with her draft and what was said before.

    They are named one by one: put as a question, it is answered by reading everybody's in the order of their numbers.
    """
    hers = list(open_assignments(campaign, person).order_by().values_list("item", flat=True))
    return with_details(
        ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, pk__in=hers), person
    )


def answered_by(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return those that she answered, with what she said."""
    said = ReviewDecision.objects.filter(item__campaign=campaign, decided_by=person, taken_back=None)
    hers = set(said.values_list("item", flat=True))
    return _with_lines(ReviewItem.objects.filter(campaign=campaign, pk__in=hers))


def open_assignments(campaign: Campaign, person: Person) -> QuerySet[Assignment]:
    """Return the assignments that somebody answers now, in her own place or another's."""
    return Assignment.objects.filter(
        visibility.answerable_by(person), item__campaign=campaign, state=Assignment.State.ASSIGNED
    )


def with_details(rows: QuerySet[ReviewItem], person: Person) -> QuerySet[ReviewItem]:
    """Return items with what their pages show, and the draft of the reader where one is hers to answer."""
    hers = Assignment.objects.filter(visibility.answerable_by(person), state=Assignment.State.ASSIGNED)
    return _with_lines(rows).prefetch_related(
        Prefetch("assignments", hers.select_related("draft", "reviewer"), to_attr="hers")
    )


def _with_lines(rows: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    lines = ReviewLine.objects.select_related("tool", "grant__entitlement").order_by("tool__name", "pk")
    said = ReviewDecision.objects.filter(taken_back=None).select_related("decided_by").order_by("stage", "decided_at")
    return rows.select_related(
        "agent__sponsor", "system", "current_decision", "campaign", "suggestion", "newer_signal"
    ).prefetch_related(Prefetch("lines", lines), Prefetch("decisions", said, to_attr="said"))


@dataclass(frozen=True, slots=True)
class Row:
    """One item as the workbench shows it, with what the reviewer drafted."""

    item: ReviewItem
    lines: list[dict[str, Any]]
    draft: Draft | None
    advice: newer_signal_queries.Advice | None = None
    spark: newer_signal_queries.Spark | None = None
    person: Person | None = None
    sentences: Sequence[str] = ()
    level: Risk = Risk.LOW
    violations: Sequence[violation_queries.Violation] = ()

    @property
    def has_parts(self) -> bool:
        """Whether some of it may be kept: access and entitlements have tools."""
        return self.item.has_parts

    @property
    def is_access(self) -> bool:
        """Whether it is access, which may get tighter limits."""
        return self.item.subject_kind == ReviewItem.Subject.ACCESS

    @property
    def may_end(self) -> bool:
        """Whether it may be kept for less long: access that is not kept as it is or not at all."""
        return self.is_access and not self.item.is_whole

    @property
    def before(self) -> list[ReviewDecision]:
        """What others said about it before, in this review."""
        said: list[ReviewDecision] = getattr(self.item, "said", [])
        return [each for each in said if each.decided_by != self.person]

    @property
    def mine(self) -> ReviewDecision | None:
        """The last answer that the reader gave."""
        said: list[ReviewDecision] = getattr(self.item, "said", [])
        return next((each for each in reversed(said) if each.decided_by == self.person), None)

    @property
    def may_recall(self) -> bool:
        """Whether the reader may still take that answer back."""
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
        """Whose place the reader answers in; nobody's where the item is her own."""
        hers: list[Assignment] = getattr(self.item, "hers", [])
        asked = hers[0].reviewer if hers else None
        return asked if asked != self.person else None

    @property
    def is_opened(self) -> bool:
        """Whether the evidence of it was on the reader's screen."""
        hers: list[Assignment] = getattr(self.item, "hers", [])
        return any(each.evidence_opened_at and each.is_seen_by(self.person) for each in hers)

    @property
    def since_last(self) -> str:
        """What is new about it since the last review, as the suggestion's facts say."""
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
        """Whom the agent acts for, without the kind."""
        return [name.partition(":")[2] for name in self.item.subjects]

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
        """Whether it may be said that nothing of it was used: all calls are visible, and the window is full."""
        return bool(self.lines) and all(line["unused"] for line in self.lines)

    @property
    def verdict(self) -> str:
        """What is suggested; empty where nothing is."""
        suggestion = getattr(self.item, "suggestion", None)
        return suggestion.verdict if suggestion else ""

    @property
    def is_weighty(self) -> bool:
        """Whether it is looked at before it is kept."""
        return self.level.rank >= Risk.HIGH.rank

    @property
    def needs_reason(self) -> bool:
        """Whether keeping it needs a reason."""
        return review_rules.needs_reason(review_rules.Verb.CERTIFY, Risk(self.item.risk), self.verdict)

    @property
    def newer(self) -> newer_signal_queries.Newer | None:
        """What would be suggested by now, where that is another thing than was frozen."""
        told = getattr(self.item, "newer_signal", None)
        if told is None or not told.stands:
            return None
        return newer_signal_queries.newer_signal(told, self.item.suggestion, list(self.item.lines.all()))

    @property
    def needs_words(self) -> bool:
        """Whether keeping it needs a reason in the reviewer's own words."""
        return review_rules.needs_words(review_rules.Verb.CERTIFY, Risk(self.item.risk))


def rows(items: Sequence[ReviewItem], person: Person | None = None, *, whole: bool = False) -> list[Row]:
    """Prepare items for the workbench, each with the lines that no earlier answer has taken away, or with all."""
    left = {} if whole else validity.lines_left(item.pk for item in items)
    held = {item.pk: {line.grant_id for line in item.lines.all() if line.grant_id} for item in items}
    weeks = usage.weekly({grant for grants in held.values() for grant in grants}, clock.now())
    told = subject_words.sentences(items)
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
            told.get(item.pk, ()),
            violations.level(item, broken.get(item.pk, ())),
            [violation_queries.shown(item, each, accounts) for each in broken.get(item.pk, ())],
        )
        for item in items
    ]


def _waiting(items: Iterable[ReviewItem]) -> list[ReviewItem]:
    return [item for item in items if item.state == ReviewItem.State.IN_REVIEW]


def _advice(item: ReviewItem) -> newer_signal_queries.Advice | None:
    told = getattr(item, "suggestion", None)
    return newer_signal_queries.advice(told, list(item.lines.all())) if told else None


def _spark(weeks: Sequence[Sequence[int]]) -> newer_signal_queries.Spark | None:
    """Draw the weeks of an item's grants together; nothing where nothing was called."""
    together = [sum(each) for each in zip(*weeks, strict=True)]
    return newer_signal_queries.spark(together) if any(together) else None


def _draft(item: ReviewItem) -> Draft | None:
    hers: list[Assignment] = getattr(item, "hers", [])
    return next((each.draft for each in hers if hasattr(each, "draft")), None)


def _tick(line: ReviewLine, item: ReviewItem) -> dict[str, bool]:
    """Say whether a line is ticked when some are kept: as drafted, else as suggested."""
    suggestion, draft = getattr(item, "suggestion", None), _draft(item)
    suggested = suggestion is None or suggestion.verdict != "reduce" or line.pk in suggestion.kept
    kept = line.pk in draft.kept_lines if draft and draft.verb == review_rules.Verb.REDUCE else suggested
    return {"suggested": suggested, "kept": kept}


def _line(line: ReviewLine, item: ReviewItem) -> dict[str, Any]:
    """Say what may be said of a line's use: nothing is called unused before its whole window was seen."""
    seen = line.usage_grade == ReviewLine.Grade.CALLS
    taken = item.campaign.snapshot_at or clock.now()
    told = getattr(item, "suggestion", None)
    full = {each["line"]: each["full"] for each in told.inputs["lines"]} if told and seen else {}
    young = not full.get(line.pk, line.grant is None or line.grant.starts_at <= taken - snapshot.WINDOW)
    return {"row": line, "seen": seen, "young": young, "unused": seen and not young and line.calls_window == 0}


def recent_comments(person: Person) -> list[str]:
    """Return what somebody wrote of late beside her answers, the newest first, to be offered again."""
    kept = ReviewDecision.objects.filter(decided_by=person).exclude(comment="")
    drafts = Draft.objects.filter(assignment__reviewer=person).exclude(comment="")
    said = [
        *drafts.order_by("-saved_at").values_list("comment", flat=True)[:_LATELY],
        *kept.order_by("-decided_at").values_list("comment", flat=True)[:_LATELY],
    ]
    return [text for text in dict.fromkeys(said) if "\n" not in text][:_LATELY]


_LATELY: Final = 8


def drafted(campaign: Campaign, person: Person) -> list[Draft]:
    """Return what somebody would submit now, the riskiest first."""
    found = submission.drafts_of(campaign, person).select_related(
        "assignment__item__agent", "assignment__item__system", "assignment__item__campaign", "saved_by"
    )
    return list(found.order_by("assignment__item__number"))
