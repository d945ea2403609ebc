"""All tables of a pack, in the order of its parts."""

from __future__ import annotations

from typing import Final

from . import agents, outcomes, period, quality, spot_checks, tables

TABLES: Final[dict[str, tables.Table]] = dict(
    sorted(
        {
            **tables.TABLES,
            **agents.TABLES,
            **outcomes.TABLES,
            **period.TABLES,
            **quality.TABLES,
            **spot_checks.TABLES,
        }.items()
    )
)
