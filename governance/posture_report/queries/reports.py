"""The reports that a caller may read: of the company, and of each department, now and at the end of each month."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from django.utils.text import slugify

from audit import clock
from entitlements.access.caller import Caller
from entitlements.errors import NotFound
from governance.posture_report.models import PostureSnapshot

from . import figures
from .catalog import COUNTED, FIGURES, Figure

COMPANY, NO_DEPARTMENT = "company", "no-department"
"""The keys of the report of the company, and of that of agents of no department."""
MONTHS: Final = 12
"""How many months a report looks back."""
_NOTHING: Final[Mapping[str, Any]] = {"figures": {**dict.fromkeys(COUNTED, 0), "unmanaged": None}, "biggest": []}


@dataclass(frozen=True, slots=True)
class Month:
    """The figures at the end of one month, or of now where `month` is None, with the heaviest agents."""

    month: date | None
    as_of: datetime
    figures: Mapping[str, int | None]
    biggest: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a department, empty for none, or of the company (None): now, and months, the latest first."""

    department: str | None
    now: Month | None
    months: Sequence[Month] = field(default=())

    @property
    def key(self) -> str:
        """The name in an address."""
        return key_of(self.department)

    @property
    def listed(self) -> list[Figure]:
        """The figures that are known for it."""
        return [figure for figure in FIGURES if figure.by_department or self.department is None]

    def at(self, month: date | None) -> Month:
        """Return the figures of a month, or of now. Raises NotFound."""
        found = self.now if month is None else next((each for each in self.months if each.month == month), None)
        if found is None:
            raise NotFound
        return found

    def before(self, shown: Month) -> Month | None:
        """Return the latest month before one that is shown; None where there is none."""
        return next((each for each in self.months if shown.month is None or _day(each) < shown.month), None)

    def until(self, shown: Month) -> list[Month]:
        """Return the months up to one that is shown, the earliest first."""
        known = [each for each in self.months if shown.month is None or _day(each) <= shown.month]
        return known[::-1] if shown.month else [*known[::-1], shown]


def _day(each: Month) -> date:
    return each.month or date.max


def key_of(department: str | None) -> str:
    """Return the name of a department in an address: readable, and different for each, whatever it is called."""
    if department is None:
        return COMPANY
    if not department:
        return NO_DEPARTMENT
    digest = hashlib.sha256(department.encode()).hexdigest()[:10]
    return f"{slugify(department)[:40]}-{digest}".lstrip("-")


def of_caller(caller: Caller) -> list[Report]:
    """Return the reports that a caller may read, as of now: the company first, agents of no department last."""
    reach = caller.seen_reach
    kept = figures.current()
    counted = kept.value["departments"] if kept else {}
    stored = PostureSnapshot.objects.exclude(department=None).order_by().values_list("department", flat=True).distinct()
    names = {*counted, *stored} if reach.everything else set(reach.departments)
    if not names and not reach.everything:
        return []
    as_of = (kept.as_of if kept else None) or clock.now()
    found = [Report(None, _month(kept.value["company"], as_of) if kept else None)] if reach.everything else []
    ordered = sorted(names, key=lambda name: (not name, name.casefold(), name))
    return [*found, *(Report(name, _month(counted.get(name, _NOTHING), as_of) if kept else None) for name in ordered)]


def find(caller: Caller, key: str) -> Report:
    """Return one report that a caller may read, with its months. Raises NotFound."""
    report = next((each for each in of_caller(caller) if each.key == key), None)
    if report is None:
        raise NotFound
    rows = PostureSnapshot.objects.filter(department=report.department).order_by("-month")[:MONTHS]
    months = [Month(row.month, row.taken_at, row.figures, row.biggest) for row in rows]
    return Report(report.department, report.now, months)


def _month(counted: Mapping[str, Any], as_of: datetime) -> Month:
    return Month(None, as_of, counted["figures"], counted["biggest"])
