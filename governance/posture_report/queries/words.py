"""A report in words and drawings: values, changes against the month before, and the trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from governance.charts.count_line import count_line
from governance.charts.plot import FEWEST, Plot

from .catalog import BY_KEY, GROUPS, Figure, Group
from .reports import Month, Report

TRENDS: Final = ("orphaned", "past", "privileged", "unused", "unreviewed", "overdue")
"""The figures whose trend a report shows."""
NOW: Final = gettext_lazy("Now")
_ELEVEN_MONTHS: Final = 334
"""Days after the beginning of a month in which its name alone says which it was."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a report: its value and its change in words, and whether that is good news, bad news or neither."""

    figure: Figure
    value: str
    change: str
    tone: str


@dataclass(frozen=True, slots=True)
class Trend:
    """The months of a report: a drawing for each figure, or, of less than five months, only the numbers."""

    plots: Sequence[tuple[Figure, Plot]]
    heads: Sequence[Any]
    rows: Sequence[tuple[str, Sequence[tuple[Any, str]]]]


def month_name(month: date) -> str:
    """Return a month with its year."""
    return formats.date_format(month, "F Y")


def name(each: Month) -> str:
    """Return the month, or the word for now."""
    return str(NOW) if each.month is None else month_name(each.month)


def value(figure: Figure, number: int | None) -> str:
    """Return a value with its unit; a dash where there is none."""
    if number is None:
        return "-"
    return f"{number:,} {figure.unit}".strip()


def groups(report: Report, shown: Month) -> list[tuple[Any, list[Row]]]:
    """Return the figures of a month, by their group."""
    before = report.before(shown)
    rows: dict[Group, list[Row]] = {group: [] for group in GROUPS}
    for figure in report.listed:
        number = shown.figures.get(figure.key)
        words, tone = _change(figure, number, before, shown)
        rows[figure.group].append(Row(figure, value(figure, number), words, tone))
    return [(GROUPS[group], listed) for group, listed in rows.items() if listed]


def _change(figure: Figure, number: int | None, before: Month | None, shown: Month) -> tuple[str, str]:
    """Return the change against a month in words, with its tone. The year is said where the month was longer ago."""
    if before is None or before.month is None or number is None:
        return "", ""
    then = before.figures.get(figure.key)
    if then is None:
        return "", ""
    count = abs(number - then)
    is_late = ((shown.month or shown.as_of.date()) - before.month).days < _ELEVEN_MONTHS
    month = formats.date_format(before.month, "F") if is_late else month_name(before.month)
    words = {"n": count, "month": month, "unit": figure.unit}
    tone = "" if not figure.is_better or number == then else "good" if _is_better(figure, number - then) else "warn"
    if number == then:
        return _("as in %(month)s") % words, tone
    if figure.unit:
        text = _("%(n)d %(unit)s less than in %(month)s") if number < then else ""
        return (text or _("%(n)d %(unit)s more than in %(month)s")) % words, tone
    if number < then:
        text = ngettext("%(n)d fewer than in %(month)s", "%(n)d fewer than in %(month)s", count)
    else:
        text = ngettext("%(n)d more than in %(month)s", "%(n)d more than in %(month)s", count)
    return text % words, tone


def _is_better(figure: Figure, difference: int) -> bool:
    return difference * figure.is_better > 0


def trend(report: Report, shown: Month) -> Trend:
    """Return the trend up to a month: drawings from five points on, else a table."""
    months = report.until(shown)
    names = [name(each) for each in months]
    figures = [BY_KEY[key] for key in TRENDS]
    rows = [
        (word, [(figure.label, value(figure, each.figures.get(figure.key))) for figure in figures])
        for word, each in zip(names, months, strict=True)
    ]
    plots = [
        (figure, count_line(_points(figure, names, months), (_("Month"), str(figure.label)))) for figure in figures
    ]
    return Trend(plots if len(months) >= FEWEST else (), [figure.label for figure in figures], rows)


def _points(figure: Figure, names: Sequence[str], months: Sequence[Month]) -> list[tuple[str, int | None]]:
    return [(word, each.figures.get(figure.key)) for word, each in zip(names, months, strict=True)]


def title(department: str | None) -> str:
    """Return the name of a department as people read it."""
    if department is None:
        return _("Whole company")
    return department or _("No department")
