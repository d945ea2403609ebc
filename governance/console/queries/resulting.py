"""What came of a review, as plots: how much each agent could do before and after, and how reviewers answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from entitlements.models import Grant
from governance import blast, outlook, plots
from governance.models import Campaign, NoAnswer, ReviewItem, ReviewLine
from governance.reviews import answering, care

MOST_AGENTS: Final = 30
"""How many agents are drawn: those of which most was cut; how many more there are is said beside it."""
FEWEST: Final = 5
"""Without names of fewer reviewers nothing is drawn: each would be recognised."""
_SIZES: Final = ((100, 18), (50, 13), (0, 9))
_CUT: Final = Q(current_decision__verb__in=["reduce", "revoke"]) | Q(
    no_answer__did=NoAnswer.Did.SUSPENDED, no_answer__restored_at=None
)


@dataclass(frozen=True, slots=True)
class Change:
    """The blast radius of what was reviewed of one agent, before and after, and the drawing of both."""

    name: str
    slug: str
    before: int
    after: int
    drawing: str


@dataclass(frozen=True, slots=True)
class Blast:
    """The agents of which something was cut, the largest change first; `hidden` counts those that are not shown."""

    rows: list[Change]
    hidden: int
    before_key: str = plots.BEFORE
    after_key: str = plots.AFTER


def blast_radius(campaign: Campaign) -> Blast | None:
    """Set what the reviewed access of each agent weighed against what is left of it; nothing before a cut.

    What ended meanwhile or was left out is on neither side. Fixed in statements, whatever the campaign's size.
    """
    items = ReviewItem.objects.filter(campaign=campaign, subject_kind=ReviewItem.Subject.ACCESS)
    items = items.exclude(state__in=[ReviewItem.State.EXCLUDED, ReviewItem.State.SUPERSEDED])
    cut = items.filter(_CUT)
    agents = list(cut.order_by().values("agent").annotate(n=Count("pk")).order_by("-n", "agent")[: MOST_AGENTS + 1])
    if not agents:
        return None
    hidden = cut.values("agent").distinct().count() - MOST_AGENTS if len(agents) > MOST_AGENTS else 0
    rows = _changes(items.filter(agent__in=[row["agent"] for row in agents[:MOST_AGENTS]]))
    return Blast(sorted(rows, key=lambda row: (row.after - row.before, -row.before, row.name)), hidden)


def _changes(items: QuerySet[ReviewItem]) -> list[Change]:
    left = answering.lines_left(items.values_list("pk", flat=True))
    gone = set(items.filter(_CUT).exclude(current_decision__verb="reduce").values_list("pk", flat=True))
    people = outlook.people_acted_for(
        Grant.objects.filter(pk__in=ReviewLine.objects.filter(item__in=items).values("grant"))
    )
    named = ("item__agent__name", "item__agent__slug", "item__agent__kind", "tool__action", "tool__data_class")
    before, after = defaultdict[tuple[str, str], list[float]](list), defaultdict[tuple[str, str], list[float]](list)
    for line, item, grant, name, slug, kind, action, data in ReviewLine.objects.filter(item__in=items).values_list(
        "pk", "item", "grant", *named
    ):
        weighs = outlook.weight(action, data, people.get(grant, 0), kind=kind)
        before[name, slug].append(weighs)
        if item not in gone and line in left[item]:
            after[name, slug].append(weighs)
    scores = {agent: (blast.score(weights), blast.score(after[agent])) for agent, weights in before.items()}
    return [Change(*agent, was, now, plots.dumbbell(was, now)) for agent, (was, now) in scores.items()]


def care_of_reviewers(reviewers: Sequence[care.OfReviewer], *, named: bool) -> plots.Plot | None:
    """Draw seconds for an item by share of cuts, a dot for each reviewer; without names only of several, and coarsely.

    Who gave too few answers to say anything is not there, nor whose time nobody counted.
    """
    told = [each for each in reviewers if each.seconds is not None]
    if not told or (len(told) < FEWEST and not named):
        return None
    told.sort(key=lambda each: (each.seconds or 0, each.care.cut_rate))
    slow, cut = (
        max(each.seconds or 0 for each in told) or 1,
        max(care.MOST_CUT + 10, *(each.care.cut_rate for each in told)),
    )
    points = [(float(each.seconds or 0), float(each.care.cut_rate), _across(each.care.answers)) for each in told]
    drawn = plots.scatter(points, (slow, cut), (care.LEAST_CUT, care.MOST_CUT))
    heads = (_("Reviewer"), _("Seconds for an item"), _("Cut"), _("Answers"))
    rows = tuple(
        (
            each.name if named else _("Reviewer %(n)d") % {"n": number},
            str(each.seconds),
            f"{each.care.cut_rate} %",
            _answers(each.care.answers, named=named),
        )
        for number, each in enumerate(told, start=1)
    )
    return replace(plots.Plot(drawn, heads, rows), left="0 s", right=f"{slow} s", top=f"{cut} %")


def _across(answers: int) -> int:
    return next(across for least, across in _SIZES if answers >= least)


def _answers(answers: int, *, named: bool) -> str:
    """Say how many; without a name only about, so that nobody is found by her number."""
    if named:
        return str(answers)
    least = next(least for least, _across in _SIZES if answers >= least)
    return {100: _("100 or more"), 50: _("50 to 99")}.get(least, _("20 to 49"))
