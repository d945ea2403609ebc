"""What the page that compares two reviews shows: each outcome as a bar for both, and what differs in words."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy

from governance.charts import plots
from governance.reviews.campaigns.queries.campaigns import OUTCOMES
from governance.reviews.quality.comparison import MOST, Contrast

_WORDS: Final = dict(OUTCOMES)
_PARTS: Final = (
    ("changed", gettext_lazy("Answered otherwise")),
    ("added", gettext_lazy("New in this review")),
    ("removed", gettext_lazy("No longer there")),
)


def told(seen: Contrast) -> dict[str, Any]:
    """Put a contrast in words, with a pair of bars for each outcome."""
    most = max((max(then, now) for _name, then, now in seen.outcomes), default=0)
    return {
        "counts": seen.counts,
        "then_covered": seen.coverage[0],
        "now_covered": seen.coverage[1],
        "outcomes": [(_WORDS[name], then, now, plots.pair(then, now, most)) for name, then, now in seen.outcomes],
        "keys": plots.PAIR,
        "parts": [
            (
                what,
                label,
                seen.counts[what],
                max(seen.counts[what] - MOST, 0),
                [(each, _WORDS.get(each.then, ""), _WORDS.get(each.now, "")) for each in seen.differences[what]],
            )
            for what, label in _PARTS
        ],
    }
