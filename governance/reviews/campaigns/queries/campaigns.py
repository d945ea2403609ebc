"""What the pages of reviews read: the progress of a campaign, its reviewers, one reviewer's items with their usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Max
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.charts import geometry, plots
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import reminders
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import (
    tallies,
)
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import scopes
from governance.reviews.reviewers.models import Assignment

OUTCOMES: Final = (
    ("certify", gettext_lazy("Kept")),
    ("reduce", gettext_lazy("Reduced")),
    ("revoke", gettext_lazy("Revoked")),
    ("superseded", gettext_lazy("Ended meanwhile")),
    ("carried_forward", gettext_lazy("Carried forward")),
    ("excluded", gettext_lazy("Excluded")),
    ("no_response", gettext_lazy("No decision")),
    ("in_review", gettext_lazy("To decide")),
)
MOST_REVIEWERS: Final = 200
MOST_UNRESOLVED: Final = 100
"""How many reviewers the page of a campaign shows; the others have less to answer."""
WIDTH: Final = 600
"""Units of a bar's drawing, which scales to its place."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar, from `start` on, `width` wide, in units of WIDTH."""

    name: str
    label: Any
    count: int
    percent: float
    start: float
    width: float

    @property
    def hatch(self) -> str:
        """The pattern of this part, as an SVG path."""
        return plots.hatch(self.name, self.start, self.width, 16, 6)

    @property
    def swatch(self) -> str:
        """The same pattern in the size of the legend."""
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
    """Return how many per cent of the items have an outcome; never 100 while one is open."""
    still_open = next(part.count for part in parts if part.name == "in_review")
    share = sum(part.percent for part in parts if part.name != "in_review")
    return min(round(share), 99) if still_open else 100


def burn_down(campaign: Campaign) -> geometry.BurnDown | None:
    """Return how many items were open on each day since the campaign began; None before it began."""
    if campaign.snapshot_at is None:
        return None
    total, done = tallies.by_day(campaign)
    last = campaign.closing_at or clock.now()
    days = reminders.days(campaign.snapshot_at, campaign.due_at)
    return geometry.burn_down(total, done, campaign.snapshot_at.date(), last.date(), campaign.due_at.date(), days)


def reviewers(campaign: Campaign) -> tuple[list[dict[str, Any]], int]:
    """Return the reviewers with the most open items, the unassigned items first; and how many others there are."""
    counts = tallies.reviewers(campaign)
    counts.sort(key=lambda row: (row["login"] is not None, -row["open"], row["name"] or ""))
    first = counts[:MOST_REVIEWERS]
    theirs = [row["reviewer"] for row in first if row["reviewer"]]
    drafts = Draft.objects.filter(
        assignment__reviewer__in=theirs,
        assignment__state=Assignment.State.ASSIGNED,
        assignment__item__campaign=campaign,
    ).exclude(verb="")
    counted = dict(drafts.values_list("assignment__reviewer").annotate(n=Count("pk")))
    return [{**row, "drafted": counted.get(row["reviewer"], 0)} for row in first], len(counts) - len(first)


def with_activity(campaign: Campaign, reviewers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return reviewers with when each last drafted or decided something in a campaign; None for never."""
    pks = [row["reviewer"] for row in reviewers]
    drafts = Draft.objects.filter(assignment__item__campaign=campaign, saved_by__in=pks).order_by()
    last = dict(drafts.values_list("saved_by").annotate(at=Max("saved_at")))
    decisions = ReviewDecision.objects.filter(item__campaign=campaign, decided_by__in=pks).order_by()
    for pk, at in decisions.values_list("decided_by").annotate(at=Max("decided_at")):
        last[pk] = max(at, last.get(pk) or at)
    return [{**row, "last": last.get(row["reviewer"])} for row in reviewers]


def ended_grants(campaign: Campaign) -> list[Grant]:
    """Return the latest hundred grants in scope that ended within the window before the population was taken."""
    rows = scopes.ended_grants(campaign)
    first = list(rows.order_by("-ended_at", "pk").values_list("pk", flat=True)[:100])
    grants = Grant.objects.filter(pk__in=first).select_related("agent", "entitlement__system")
    return list(grants.order_by("-ended_at", "pk"))


def unresolved(campaign: Campaign) -> list[Assignment]:
    """Return the first unassigned open items, with who was passed over as a reviewer and why."""
    rows = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED, reviewer=None
    )
    found = list(rows.select_related("item__agent", "item__system").order_by("item__number")[:MOST_UNRESOLVED])
    skips = [skip for each in found for skip in each.resolution.get("skipped", []) if isinstance(skip, dict)]
    names = dict(Person.objects.filter(login__in={skip["who"] for skip in skips}).values_list("login", "name"))
    for skip in skips:
        skip["who"] = names.get(skip["who"]) or skip["who"]  # people are shown by name; nothing is saved
    return found
