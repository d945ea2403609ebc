"""What came of a review, as plots: how much each agent could do before and after, and how reviewers answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.utils.translation import gettext as _

from governance.charts import plots
from governance.reviews.campaigns.models import Campaign
from governance.reviews.quality import blast_radius as blast_radius_actions
from governance.reviews.quality import care

FEWEST: Final = 5
"""Without names of fewer reviewers nothing is drawn: each would be recognised."""
_SIZES: Final = ((100, 18), (50, 13), (0, 9))


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
    """Draw what the reviewed access of each agent weighed beside what is left of it; nothing before a cut."""
    rows, hidden = blast_radius_actions.changes(campaign)
    drawn = [Change(row.name, row.slug, row.before, row.after, plots.dumbbell(row.before, row.after)) for row in rows]
    return Blast(drawn, hidden) if drawn else None


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
