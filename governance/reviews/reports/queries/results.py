"""The results of a review, as plots: the blast radius of agents before and after, and how reviewers answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.utils.translation import gettext as _

from governance.charts import plots
from governance.charts.plot import Plot
from governance.reviews.campaigns.models import Campaign
from governance.reviews.quality import blast_radius as blast_radius_actions
from governance.reviews.quality import care

FEWEST: Final = 5
"""Without names, fewer reviewers are not drawn: each would be recognised."""
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
class BlastRadiusChanges:
    """The agents of which something was cut, the largest change first; `hidden` counts those that are not shown."""

    rows: list[Change]
    hidden: int
    before_key: str = plots.BEFORE
    after_key: str = plots.AFTER


def blast_radius(campaign: Campaign) -> BlastRadiusChanges | None:
    """Draw the blast radius of each agent's reviewed access before and after the review; None before a removal."""
    rows, hidden = blast_radius_actions.changes(campaign)
    drawn = [Change(row.name, row.slug, row.before, row.after, plots.dumbbell(row.before, row.after)) for row in rows]
    return BlastRadiusChanges(drawn, hidden) if drawn else None


def care_of_reviewers(reviewers: Sequence[care.ReviewerResource], *, named: bool) -> Plot | None:
    """Draw seconds per item by share of removals, a dot for each reviewer; without names only for five or more.

    Reviewers with too few answers are left out, and those without counted time.
    """
    shown = [reviewer for reviewer in reviewers if reviewer.seconds is not None]
    if not shown or (len(shown) < FEWEST and not named):
        return None
    shown.sort(key=lambda reviewer: (reviewer.seconds or 0, reviewer.care.cut_rate))
    slow, cut = (
        max(reviewer.seconds or 0 for reviewer in shown) or 1,
        max(care.MOST_CUT + 10, *(reviewer.care.cut_rate for reviewer in shown)),
    )
    points = [
        (float(reviewer.seconds or 0), float(reviewer.care.cut_rate), _across(reviewer.care.answers))
        for reviewer in shown
    ]
    drawn = plots.scatter(points, (slow, cut), (care.LEAST_CUT, care.MOST_CUT))
    heads = (_("Reviewer"), _("Seconds an item"), _("Revoked or reduced"), _("Decisions"))
    rows = tuple(
        (
            reviewer.name if named else _("Reviewer %(n)d") % {"n": number},
            str(reviewer.seconds),
            f"{reviewer.care.cut_rate} %",
            _answers(reviewer.care.answers, named=named),
        )
        for number, reviewer in enumerate(shown, start=1)
    )
    return replace(Plot(drawn, heads, rows), left="0 s", right=f"{slow} s", top=f"{cut} %")


def _across(answers: int) -> int:
    return next(across for least, across in _SIZES if answers >= least)


def _answers(answers: int, *, named: bool) -> str:
    """Return the number of answers; without names a range, so that the number identifies no reviewer."""
    if named:
        return str(answers)
    least = next(least for least, _across in _SIZES if answers >= least)
    return {100: _("100 or more"), 50: _("50 to 99")}.get(least, _("20 to 49"))
