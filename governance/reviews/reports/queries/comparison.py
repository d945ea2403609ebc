"""The context of the page that compares two reviews."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy

from governance.charts import plots
from governance.reviews.campaigns.queries.campaigns import OUTCOMES
from governance.reviews.quality.comparison import MOST, Comparison

_WORDS: Final = dict(OUTCOMES)
_PARTS: Final = (
    ("changed", gettext_lazy("Decided differently")),
    ("added", gettext_lazy("New in this review")),
    ("removed", gettext_lazy("No longer there")),
)


def context(comparison: Comparison) -> dict[str, Any]:
    """Return the page's context: the differences, and a pair of bars for each outcome."""
    most = max((max(then, now) for _name, then, now in comparison.outcomes), default=0)
    return {
        "counts": comparison.counts,
        "added_figure": f"+{comparison.counts['added']}",
        "removed_figure": f"\N{MINUS SIGN}{comparison.counts['removed']}",
        "covered_figure": f"{comparison.coverage[1]} %",
        "then_covered": comparison.coverage[0],
        "now_covered": comparison.coverage[1],
        "outcomes": [(_WORDS[name], then, now, plots.pair(then, now, most)) for name, then, now in comparison.outcomes],
        "keys": plots.PAIR,
        "parts": [
            (
                part,
                label,
                comparison.counts[part],
                max(comparison.counts[part] - MOST, 0),
                [
                    (difference, _WORDS.get(difference.then, ""), _WORDS.get(difference.now, ""))
                    for difference in comparison.differences[part]
                ],
            )
            for part, label in _PARTS
        ],
    }
