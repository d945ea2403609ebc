"""Figures over much access: a worker counts them now and then, pages show them with their time.

Of little access they are counted with every look, and nothing is kept. No decision depends on a figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, models

from audit import clock
from governance.charts.models import Figure

MANY: Final = 25_000
"""Rows from which on a worker counts, by the database's own estimate of a table."""


@dataclass(frozen=True, slots=True)
class KeptFigure:
    """A figure, and as of when; None where it was counted just now."""

    value: Any
    as_of: datetime | None = None


def is_quick(model: type[models.Model]) -> bool:
    """Whether counting a table takes no time worth speaking of."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        return float(cursor.fetchone()[0]) < MANY


def kept(name: str) -> KeptFigure | None:
    """Return what was counted last under a name; None where it was not counted yet."""
    figure = Figure.objects.filter(name=name).first()
    return KeptFigure(figure.value, figure.as_of) if figure else None


def keep(name: str, count: Callable[[], Any]) -> None:
    """Count, and keep what was found as of when it was begun."""
    as_of = clock.now()
    Figure.objects.update_or_create(name=name, defaults={"value": count(), "as_of": as_of})
