"""Budgets as pages show them: how much is taken, when the window ends, and which systems nodes leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.budgets import budgets
from entitlements.budgets.models import Budget
from entitlements.catalog.models import System
from entitlements.feed.changes import LEASE_SECONDS
from entitlements.feed.models import GatewayNode
from entitlements.grants.models import Grant
from entitlements.node.isolation.models import SystemPause


@dataclass(frozen=True, slots=True)
class Use:
    """A budget and what is taken of it: spent, or leased to a node. `percent` is rounded down."""

    row: Budget
    taken: Decimal
    ends: datetime | None

    @property
    def amount(self) -> str:
        """The amount as people write it, without its unit."""
        return _figure(self.row.amount)

    @property
    def spent(self) -> str:
        """What is taken, as people write it."""
        return _figure(self.taken)

    @property
    def percent(self) -> int:
        """How much of it is taken, in percent."""
        return int(self.taken * 100 / self.row.amount)

    @property
    def window(self) -> timedelta | None:
        """The length of its windows."""
        return None if self.row.window_seconds is None else timedelta(seconds=self.row.window_seconds)

    @property
    def is_near(self) -> bool:
        """Whether nine tenths of it are taken."""
        return self.taken * 10 >= self.row.amount * 9


def _figure(value: Decimal) -> str:
    """Write a number with as many decimal places as it has: none, or two at least."""
    if value == value.to_integral():
        return f"{value:,.0f}"
    rounded = value.quantize(Decimal("0.01"))
    return f"{rounded if rounded == value else value.normalize():,f}"


def use(row: Budget) -> Use:
    """Return what is taken of a budget now."""
    now = clock.now()
    return Use(row, budgets.taken(row, now), budgets.ends(row, now))


def in_force(caller: Caller, target: Agent | System | Grant) -> list[Use]:
    """Return the budgets in force for an agent, a system or a grant, as far as the caller sees them."""
    of = {Agent: "agent", System: "system", Grant: "grant"}[type(target)]
    rows = visibility.budgets(caller).filter(ended_at=None, **{of: target})
    return [use(row) for row in rows.order_by("unit", "window_seconds", "pk")]


def pauses(system: System) -> Sequence[SystemPause]:
    """Return the pauses of a system at nodes that live, and have lived since the pause began."""
    rows = list(SystemPause.objects.filter(system=system).order_by("node"))
    if not rows:
        return []
    since = clock.now() - timedelta(seconds=LEASE_SECONDS)
    living = dict(GatewayNode.objects.filter(stopped_at=None, polled_at__gt=since).values_list("pk", "started_at"))
    return [row for row in rows if row.node in living and row.since >= living[row.node]]
