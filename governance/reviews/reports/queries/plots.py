"""The data of a review's plots: open items, load, outcomes, times to verification, use against grants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from governance.charts import geometry, plots
from governance.charts.plot import Plot
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.remediation.models import Remediation
from governance.reviews.usage import coverage as coverage_actions

MOST_ROWS, MOST_TOOLS = 30, 24
"""How many rows and tools a heat map shows; the page says how many are hidden."""


def burn_down(campaign: Campaign) -> Plot | None:
    """Draw the open items of each day; None before the campaign began."""
    burn = read.burn_down(campaign)
    return plots.burn_down(burn, (_("Day"), _("To decide"), _("Reviewers")), _("reminded")) if burn else None


def small_burn_down(campaign: Campaign) -> str:
    """Draw the open items of each day in small, for lists of campaigns."""
    burn = read.burn_down(campaign)
    return plots.small_burn(burn) if burn else ""


def remediation(campaign: Campaign) -> Plot | None:
    """Draw within which time removals were verified; None without any."""
    proven = Remediation.objects.filter(decision__item__campaign=campaign, verified_at__isnull=False)
    due = Coalesce("decision__effective_at", "decision__decided_at")
    spans = [
        max((verified - since).total_seconds(), 0.0)
        for verified, since in proven.values_list("verified_at", due)
        if verified
    ]
    return (
        plots.within(spans, geometry.PROOF_LIMIT, (_("Within"), _("Verified")), geometry.PROOF_STEPS) if spans else None
    )


def coverage(access: coverage_actions.AccessCounts) -> Plot | None:
    """Draw how much access was reviewed in time at the end of each of the last months; None without access."""
    known = [share for _month, share in access.months if share is not None]
    return (
        plots.trend(access.months, coverage_actions.ENOUGH, (_("Month"), _("Reviewed in time")))
        if len(known) > 1
        else None
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One tool of one agent: `state` is used, unused, unseen, or empty where it is not granted; `shade` from 0 to 3."""

    state: str
    calls: int
    denied: int
    shade: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Agents by tools: what each may use, and used. `hidden` counts the agents and tools that are not shown."""

    tools: list[str]
    rows: list[tuple[str, str, list[Cell]]]
    hidden: tuple[int, int]
    granted: int
    used: int


class _Use(NamedTuple):
    """How one line was used, as far as its calls are seen."""

    usage_grade: str
    calls_window: int | None
    denied_window: int | None


_COUNTS: Final = ("calls_window", "denied_window")


def heat(campaign: Campaign) -> HeatMap | None:
    """Compare granted with used tools by agent, those with most unused tools first; None without access to tools."""
    lines = ReviewLine.objects.filter(item__campaign=campaign, item__agent__isnull=False, tool__isnull=False)
    lines = lines.exclude(item__state=ReviewItem.State.EXCLUDED)
    held: dict[tuple[str, str], dict[str, list[_Use]]] = defaultdict(lambda: defaultdict(list))
    by_tool: dict[str, int] = defaultdict(int)
    names, use = ("item__agent__name", "item__agent__slug", "tool__name"), ("usage_grade", *_COUNTS)
    for name, slug, tool, *counts in lines.values_list(*names, *use)[:_MOST_LINES]:
        held[name, slug][tool].append(_Use(*counts))
        by_tool[tool] += 1
    if not held:
        return None
    tools = sorted(by_tool, key=lambda name: (-by_tool[name], name))
    order = sorted(held, key=lambda agent: (-_unused(held[agent]), agent))
    cells = [[_cell(held[agent].get(tool, [])) for tool in tools[:MOST_TOOLS]] for agent in order[:MOST_ROWS]]
    every = [_cell(uses) for of_agent in held.values() for uses in of_agent.values()]
    return HeatMap(
        tools[:MOST_TOOLS],
        [(name, slug, row) for (name, slug), row in zip(order, cells, strict=False)],
        (max(len(order) - MOST_ROWS, 0), max(len(tools) - MOST_TOOLS, 0)),
        sum(cell.state in ("used", "unused") for cell in every),
        sum(cell.state == "used" for cell in every),
    )


_MOST_LINES: Final = 5000


def _unused(of_agent: dict[str, list[_Use]]) -> int:
    return sum(_cell(uses).state == "unused" for uses in of_agent.values())


def _cell(lines: Sequence[_Use]) -> Cell:
    if not lines:
        return Cell("empty", 0, 0, 0)
    if any(line.usage_grade != ReviewLine.Grade.CALLS for line in lines):
        return Cell("unseen", 0, 0, 0)
    calls, denied = (sum(getattr(line, name) or 0 for line in lines) for name in _COUNTS)
    return Cell("used" if calls else "unused", calls, denied, geometry.shade(calls))


def loads(reviewers: Sequence[dict[str, object]]) -> list[str]:
    """Draw the bar of each reviewer, in their order."""
    counted = [(int(str(row["submitted"])), int(str(row["open"]))) for row in reviewers]
    most = max((done + open_items for done, open_items in counted), default=0)
    return [plots.one_load(done, open_items, most) for done, open_items in counted]
