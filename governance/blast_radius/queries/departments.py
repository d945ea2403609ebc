"""The access of the whole organisation, added up by department of the agents' sponsors and by system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, F, Max, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.grants.models import Grant, GrantLine
from governance.blast_radius.holdings import PRIVILEGED
from governance.charts import figures
from governance.charts.figures import KeptFigure
from governance.people import queries

FIGURE: Final = "access-by-department"
"""The name under which a worker keeps the sums of much access."""
MOST_NAMED: Final = 200
"""How many departments a list offers."""
NONE: Final = ""
"""The department of sponsors of whom no people source names one."""
NO_DEPARTMENT: Final = "-"
"""The same in an address."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What the agents of one department hold at one system; `blast_radius` is the biggest of one agent."""

    system: str
    name: str
    agents: int
    grants: int
    privileged: int
    blast_radius: int | None


@dataclass(frozen=True, slots=True)
class Department:
    """A department with its systems, the biggest blast radius first."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def blast_radius(self) -> int:
        """The biggest of its agents."""
        return max(cell.blast_radius or 0 for cell in self.cells)


def department(path: str = "") -> Any:  # noqa: ANN401 - an expression
    """Return the department of a sponsor, as their people source names it; `path` leads to the agent."""
    return _or_none(f"{path}sponsor__sourced__department")


def of_person() -> Any:  # noqa: ANN401 - as above
    """Return the department of a person, as their people source names it."""
    return _or_none("sourced__department")


def _or_none(field: str) -> Any:  # noqa: ANN401 - as above
    return Coalesce(F(field), Value(NONE), output_field=TextField())


def within(value: str, path: str = "") -> Q:
    """Return when the sponsor is of a department, as an address names it: `NO_DEPARTMENT` for those of none."""
    field = f"{path}sponsor__sourced__department"
    return Q(**{field: None}) | Q(**{field: NONE}) if value == NO_DEPARTMENT else Q(**{field: value})


def choices(_request: object = None) -> list[tuple[str, Any]]:
    """Return the departments that a list offers, as an address names each, with its label."""
    return [*((name, name) for name in names()), (NO_DEPARTMENT, gettext_lazy("No department"))]


def names() -> list[str]:
    """Return the departments that people sources name, in their order."""
    return list(queries.departments()[:MOST_NAMED])


def of_caller(caller: Caller) -> KeptFigure:
    """Return the departments of the grants that a caller sees: counted now, or by a worker where that takes long."""
    if caller.sees_everything and not figures.is_quick(Grant):
        kept = figures.kept(FIGURE)
        return KeptFigure(_departments(kept.value), kept.as_of) if kept else KeptFigure([])
    return KeptFigure(_departments(_rows(visibility.grants(caller))))


def count() -> list[list[Any]]:
    """Add up all access, in the form in which it is stored."""
    return _rows(Grant.objects.all())


def _rows(grants: QuerySet[Grant]) -> list[list[Any]]:
    live = grants.select_related(None).prefetch_related(None).filter(ended_at=None, expires_at__gt=clock.now())
    by_cell = ("department", "entitlement__system__slug", "entitlement__system__name")
    sums = live.order_by().annotate(department=department("agent__")).values_list(*by_cell)
    lines = GrantLine.objects.filter(grant__in=live.order_by().values("pk"), tool__risk__in=PRIVILEGED).order_by()
    high = lines.annotate(department=department("grant__agent__")).values_list("department", "tool__system__slug")
    privileged = {(name, system): n for name, system, n in high.annotate(n=Count("tool", distinct=True))}
    counts = {
        "agents": Count("agent", distinct=True),
        "grants": Count("pk"),
        "most": Max("agent__summary__blast_radius"),
    }
    return [
        [name, system, title, agents, count, privileged.get((name, system), 0), most]
        for name, system, title, agents, count, most in sums.annotate(**counts)
    ]


def _departments(rows: Iterable[list[Any]]) -> list[Department]:
    cells: dict[str, list[Cell]] = defaultdict(list)
    for name, *values in rows:
        cells[name].append(Cell(*values))
    made = [
        Department(name, tuple(sorted(each, key=lambda cell: (-(cell.blast_radius or 0), cell.name))))
        for name, each in cells.items()
    ]
    return sorted(made, key=lambda each: (each.name == NONE, each.name.casefold()))
