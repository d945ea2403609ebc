"""The posture report in the console: the departments as a table, one page for each, and the PDF of a month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.errors import Malformed
from governance.blast_radius.queries import departments
from governance.console import doors, matrix
from governance.posture_report.queries import reports, words
from governance.posture_report.queries.catalog import BY_KEY, Figure
from governance.posture_report.queries.reports import Month, Report

COLUMNS: Final = {
    "active": gettext_lazy("Agents"),
    "orphaned": gettext_lazy("Orphaned"),
    "past": gettext_lazy("Past the gateway"),
    "sod": gettext_lazy("SoD violation"),
    "privileged": gettext_lazy("Privileged"),
    "unused": gettext_lazy("Unused"),
    "unreviewed": gettext_lazy("Not reviewed"),
    "overdue": gettext_lazy("Overdue"),
}
"""The figures in the table of departments, each with a short word."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: the address that sorts by it, and how it is sorted now."""

    label: Any
    key: str
    address: str
    sorted: str


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show the company, then the departments, in the order that the address names."""
    found = reports.of_caller(doors.caller(request))
    sort = request.GET.get("sort", "department")
    column = sort.removeprefix("-")
    if column not in ("department", *COLUMNS):
        raise Malformed
    company, rest = (
        [each for each in found if each.department is None],
        [each for each in found if each.department is not None],
    )
    if column != "department":
        rest.sort(key=lambda each: _number(each, column), reverse=sort.startswith("-"))
    elif sort.startswith("-"):
        rest.reverse()
    context = {
        "heads": [_head(key, sort) for key in ("department", *COLUMNS)],
        "rows": [(each, words.title(each.department), _cells(each)) for each in [*company, *rest]],
        "is_counted": any(each.now for each in found),
        "as_of": next((each.now.as_of for each in found if each.now), None),
    }
    return render(request, "console/posture_report/listing.html", context)


def _number(report: Report, key: str) -> int:
    return (report.now.figures.get(key) or 0) if report.now else 0


def _cells(report: Report) -> list[tuple[Any, str]]:
    return [
        (label, words.value(BY_KEY[key], report.now.figures.get(key)) if report.now else "-")
        for key, label in COLUMNS.items()
    ]


def _head(key: str, sort: str) -> Head:
    is_sorted, is_down = sort.removeprefix("-") == key, sort.startswith("-")
    downwards = not is_down if is_sorted else key != "department"
    state = ("descending" if is_down else "ascending") if is_sorted else ""
    label = gettext_lazy("Department") if key == "department" else COLUMNS[key]
    return Head(label, key, f"?sort={'-' if downwards else ''}{key}", state)


@require_safe
@doors.page
def report(request: HttpRequest, key: str) -> HttpResponse:
    """Show the report of a department, or of the company: of now, or of the end of a month."""
    caller = doors.caller(request)
    found, shown = _found(request, caller, key)
    context = {
        "report": found,
        "title": words.title(found.department),
        "shown": shown,
        "month": words.month_name(shown.month) if shown and shown.month else "",
        "months": [(f"{each.month:%Y-%m}", words.name(each), each == shown) for each in found.months],
        "groups": _groups(caller, found, shown) if shown else [],
        "trend": words.trend(found, shown) if shown else None,
        "heaviest": _address(caller, found, "agent-list", "state=active&sort=-blast_radius"),
    }
    return render(request, "console/posture_report/report.html", context)


@require_safe
@doors.page
def download(request: HttpRequest, key: str) -> HttpResponse:
    """Send the report of a month, or of now, as one page of PDF."""
    from governance.posture_report.queries import pdf  # noqa: PLC0415 - it takes memory, and few processes ever write one

    found, shown = _found(request, doors.caller(request), key)
    if shown is None:
        raise Malformed
    answer = HttpResponse(pdf.write(found, shown), content_type="application/pdf")
    month = f"{shown.month or shown.as_of:%Y-%m}"
    answer["Content-Disposition"] = f'attachment; filename="posture-{found.key}-{month}.pdf"'
    return answer


def _found(request: HttpRequest, caller: Caller, key: str) -> tuple[Report, Month | None]:
    """Return a report and the month that the address names. Raises NotFound, Malformed."""
    found, asked = reports.find(caller, key), request.GET.get("month", "")
    if not asked:
        return found, found.now
    try:
        return found, found.at(date.fromisoformat(f"{asked}-01"))
    except ValueError as error:
        raise Malformed from error


def _groups(caller: Caller, found: Report, shown: Month) -> Sequence[tuple[Any, list[tuple[words.Row, str]]]]:
    """Return the figures with the list of each; those of a past month have none, since lists show the present."""
    listed = words.groups(found, shown)
    return [(label, [(row, _list(caller, found, shown, row.figure)) for row in rows]) for label, rows in listed]


def _list(caller: Caller, found: Report, shown: Month, figure: Figure) -> str:
    return "" if shown.month else _address(caller, found, figure.page, figure.query)


def _address(caller: Caller, found: Report, page: str, query: str) -> str:
    """Return the address of a list, narrowed to the department; empty where the page does not let the person in."""
    if not permissions.lets_in(matrix.find(page, "GET").row, caller):
        return ""
    if found.department is not None:
        named = urlencode({"department": found.department or departments.NO_DEPARTMENT})
        query = f"{query}&{named}" if query else named
    return f"{reverse(page)}?{query}" if query else reverse(page)
