"""The blast radius of each agent's reviewed access, before and after a review."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from entitlements.grants.models import Grant
from governance.blast_radius import blast_radius, holdings
from governance.charts import plots
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import facts as item_facts
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.remediation.models import NoAnswer

MOST_AGENTS: Final = 30
"""How many agents are listed, those with most removals first; the others are counted."""
_BY_ANSWER: Final = Q(current_decision__verb__in=["reduce", "revoke"])
_BY_SILENCE: Final = Q(no_answer__did=NoAnswer.Outcome.SUSPENDED, no_answer__restored_at=None)


@dataclass(frozen=True, slots=True)
class Change:
    """The blast radius of what was reviewed of one agent, before and after."""

    name: str
    slug: str
    before: int
    after: int

    @property
    def drawing(self) -> str:
        """Both, as a drawing."""
        return plots.dumbbell(self.before, self.after)


@dataclass(frozen=True, slots=True)
class BlastRadiusChanges:
    """The agents of which something was cut, the largest change first; `hidden` counts those that are not listed."""

    rows: list[Change]
    hidden: int
    before_key: str = plots.BEFORE
    after_key: str = plots.AFTER


def changes(campaign: Campaign) -> BlastRadiusChanges | None:
    """Return the blast radius of each agent's reviewed access before and after; None before a removal.

    Items that ended meanwhile or were excluded count on neither side. The number of statements is fixed, whatever the
    campaign's size.
    """
    items = ReviewItem.objects.filter(campaign=campaign, subject_kind=ReviewItem.Subject.ACCESS)
    items = items.exclude(state__in=[ReviewItem.State.EXCLUDED, ReviewItem.State.SUPERSEDED])
    cut = items.filter(pk__in=_cut(campaign))
    agents = list(cut.order_by().values("agent").annotate(n=Count("pk")).order_by("-n", "agent")[: MOST_AGENTS + 1])
    if not agents:
        return None
    hidden = cut.values("agent").distinct().count() - MOST_AGENTS if len(agents) > MOST_AGENTS else 0
    rows = _changes(items.filter(agent__in=[row["agent"] for row in agents[:MOST_AGENTS]]))
    return BlastRadiusChanges(sorted(rows, key=lambda row: (row.after - row.before, -row.before, row.name)), hidden)


def _cut(campaign: Campaign) -> QuerySet[ReviewItem, Any]:
    """Select the items cut by a decision or by the deadline."""
    items = ReviewItem.objects.filter(campaign=campaign).order_by().values("pk")
    return items.filter(_BY_ANSWER).union(items.filter(_BY_SILENCE))


def _changes(items: QuerySet[ReviewItem]) -> list[Change]:
    kept_lines = item_facts.lines_left(items.values_list("pk", flat=True))
    removed = set(
        items.filter(_BY_ANSWER | _BY_SILENCE).exclude(current_decision__verb="reduce").values_list("pk", flat=True)
    )
    people = holdings.people_acted_for(
        Grant.objects.filter(pk__in=ReviewLine.objects.filter(item__in=items).values("grant"))
    )
    named = ("item__agent__name", "item__agent__slug", "item__agent__kind", "tool__action", "tool__data_class")
    before, after = defaultdict[tuple[str, str], list[float]](list), defaultdict[tuple[str, str], list[float]](list)
    for line, item, grant, name, slug, kind, action, data in ReviewLine.objects.filter(item__in=items).values_list(
        "pk", "item", "grant", *named
    ):
        weight = holdings.weight(action, data, people.get(grant, 0), kind=kind)
        before[name, slug].append(weight)
        if item not in removed and line in kept_lines[item]:
            after[name, slug].append(weight)
    scores = {
        agent: (blast_radius.score(weights), blast_radius.score(after[agent])) for agent, weights in before.items()
    }
    return [Change(*agent, was, now) for agent, (was, now) in scores.items()]
