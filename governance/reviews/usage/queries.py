"""The use of each tool, for the pages of agents and grants."""

from __future__ import annotations

from collections.abc import Sequence

from audit import clock
from entitlements.grants.models import Grant
from governance.reviews.usage import usage


def with_use(grants: Sequence[Grant]) -> list[Grant]:
    """Return grants whose prefetched lines have their use in the last ninety days as `use`."""
    uses = usage.of_lines([grant.pk for grant in grants], clock.now())
    for grant in grants:
        for line in grant.lines.all():
            line.use = uses.get((grant.pk, line.tool_id))  # type: ignore[attr-defined]  # our own note on the line
    return list(grants)
