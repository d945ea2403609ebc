"""The posture report of a month as one A4 page of PDF. The same figures give the same bytes.

`report.typ` is the layout; this module builds its data, which the template shows as text and never runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.utils import formats
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from governance.charts.plot import Plot
from governance.reviews.pack import typeset

from . import words
from .reports import Month, Report

_TEMPLATE: Final = Path(__file__).with_name("report.typ").read_bytes()
_FONTS: Final = Path(__file__).parents[1] / "fonts"
_LONGEST: Final = 60
"""Characters of the name of an agent that are set; the name of a department is set whole."""


def write(report: Report, shown: Month) -> bytes:
    """Write one month of a report, or the figures of now."""
    title = words.title(report.department)
    month = words.month_name(shown.month) if shown.month else str(words.NOW)
    trend = words.trend(report, shown)
    data = {
        "title": f"{_('Posture report')}: {title}",
        "heading": _("Posture report"),
        "name": title,
        "month": month,
        "counted": _("Counted %(at)s UTC") % {"at": formats.date_format(shown.as_of, "j F Y, H:i")},
        "groups": [
            {"label": str(label), "rows": [[str(row.figure.label), row.value, row.change] for row in rows]}
            for label, rows in words.groups(report, shown)
        ],
        "trend": {
            "label": _("Trend"),
            "plots": [_plot(str(figure.label), plot) for figure, plot in trend.plots],
            "heads": [_("Month"), *(str(head) for head in trend.heads)],
            "rows": [[each, *(number for _label, number in values)] for each, values in trend.rows],
        },
        "biggest": {
            "label": _("Agents with the biggest blast radius"),
            "rows": [[Truncator(agent["name"]).chars(_LONGEST), str(agent["blast_radius"])] for agent in shown.biggest],
            "nothing": _("No active agent holds access."),
        },
        "definitions": {
            "label": _("What the figures mean"),
            "rows": [[str(figure.label), str(figure.definition)] for figure in report.listed],
        },
    }
    return typeset.pdf(_TEMPLATE, typeset.printable_data(data), shown.as_of, fonts=_FONTS)


def _plot(label: str, plot: Plot) -> dict[str, Any]:
    said = ", ".join(f"{month} {count}" for month, count in plot.rows)
    ends = {"left": plot.left, "right": plot.right, "top": plot.top}
    return {"label": label, "svg": plot.svg, "words": f"{label}: {said}", **ends}
