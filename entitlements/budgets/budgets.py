"""Setting a budget, and ending it. A change is an end and another budget, which begins with nothing spent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.grants.models import Grant
from entitlements.people.models import Person

from . import errors
from .models import LONGEST_WINDOW, Budget, BudgetUse

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_PATH: Final = re.compile(r"[^.\s]+(\.[^.\s]+){0,7}")
_Unit = Budget.Unit


@dataclass(frozen=True, slots=True)
class What:
    """What a budget counts: see `Budget`. Of the window, None is for as long as the budget lasts."""

    unit: str
    amount: Decimal
    window: timedelta | None = None
    tool: str = ""
    argument: str = ""
    currency: str = ""
    currency_argument: str = ""
    largest_answer: Decimal | None = None


@transaction.atomic
def set_budget(
    what: What, *, by: Person, reason: str, agent: str = "", system: str = "", grant: UUID | None = None
) -> Budget:
    """Set a budget for an agent, a system or a grant. It holds at each node from now on.

    Raises ReasonRequired, BudgetTargetInvalid, BudgetMalformed, BudgetToolInvalid.
    """
    if not reason.strip():
        raise ReasonRequired
    if (agent != "") + (system != "") + (grant is not None) != 1:
        raise errors.BudgetTargetInvalid
    row = Budget(unit=what.unit, amount=what.amount, argument=what.argument, currency=what.currency)
    row.currency_argument, row.largest_answer = what.currency_argument, what.largest_answer
    row.window_seconds = _seconds(what)
    _aim(row, agent, system, grant)
    _check(row)
    row.tool = _tool(row, what.tool)
    row.set_by, row.set_at, row.reason = by, clock.now(), reason
    row.save(force_insert=True)
    BudgetUse.objects.create(budget=row, began=began(row, row.set_at))
    _note(row)
    log.record(Action.BUDGET_SET, about=about(row), by=by.principal, reason=reason, detail=_shown(row))
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> Budget:
    """End a budget: nothing is counted against it any more. Raises ReasonRequired, NotFound, BudgetOver."""
    if not reason.strip():
        raise ReasonRequired
    seen = rows().filter(pk=key).first()
    if seen is None:
        raise NotFound
    _hold(seen)
    row = rows().get(pk=key)
    if row.ended_at is not None:
        raise errors.BudgetOver
    row.ended_at, row.end_reason = clock.now(), reason
    row.save(update_fields=["ended_at", "end_reason"])
    _note(row)
    log.record(Action.BUDGET_ENDED, about=about(row), by=by.principal, reason=reason, detail=_shown(row))
    return row


def rows() -> QuerySet[Budget]:
    """Return all budgets, with what they are for."""
    return Budget.objects.select_related(
        "agent", "system", "grant__agent", "grant__entitlement__system", "tool__system", "set_by", "use"
    )


def about(row: Budget) -> list[str]:
    """Return the links by which the record of a budget is found again."""
    links = [f"budget:{row.pk}"]
    if row.grant is not None:
        return [*links, f"grant:{row.grant_id}", f"agent:{row.grant.agent.slug}"]
    return [*links, f"agent:{row.agent.slug}" if row.agent is not None else f"system:{_system(row).slug}"]


def began(row: Budget, now: datetime) -> datetime:
    """Return when the window of a moment began."""
    if row.window_seconds is None:
        return row.set_at
    return datetime.fromtimestamp(int(now.timestamp()) // row.window_seconds * row.window_seconds, UTC)


def ends(row: Budget, now: datetime) -> datetime | None:
    """Return when the window of a moment ends; None where it never does."""
    return None if row.window_seconds is None else began(row, now) + timedelta(seconds=row.window_seconds)


def taken(row: Budget, now: datetime) -> Decimal:
    """Return what is taken in the window of a moment: spent, or leased to a node."""
    return row.use.taken if row.use.began >= began(row, now) else Decimal(0)


def _seconds(what: What) -> int | None:
    if what.window is None:
        return None
    seconds = what.window.total_seconds()
    if seconds != int(seconds) or not 1 <= seconds <= LONGEST_WINDOW:
        raise errors.BudgetMalformed("The window is a whole number of seconds, from one to those of a year.")
    return int(seconds)


def _aim(row: Budget, agent: str, system: str, grant: UUID | None) -> None:
    """Say what a budget is for, and hold it alone. Raises BudgetTargetInvalid."""
    if agent:
        row.agent = Agent.objects.filter(slug=agent).exclude(status=Agent.Status.RETIRED).first()
    elif system:
        row.system = System.objects.filter(slug=system, kind__in=System.SERVED).first()
    elif grant is not None:
        held = Grant.objects.select_related("agent", "entitlement__system").filter(pk=grant, ended_at=None)
        row.grant = held.first()
    if row.agent is None and row.system is None and row.grant is None:
        raise errors.BudgetTargetInvalid
    _hold(row)


def _check(row: Budget) -> None:
    """Check what a budget counts. Raises BudgetMalformed."""
    is_money, is_of_answers = row.unit == _Unit.MONEY, row.unit in (_Unit.BYTES, _Unit.ROWS)
    if row.amount <= 0 or (not is_money and row.amount != int(row.amount)):
        raise errors.BudgetMalformed("The amount is above 0, and a whole number but for money.")
    if is_money != bool(_CURRENCY.fullmatch(row.currency)) or (row.currency_argument and not is_money):
        raise errors.BudgetMalformed("A budget of money, and no other, has a currency of three capital letters.")
    if (is_money or row.unit == _Unit.ROWS) != bool(row.argument):
        raise errors.BudgetMalformed("A budget of money names the argument, one of rows the array; others name none.")
    if any(path and not _PATH.fullmatch(path) for path in (row.argument, row.currency_argument)):
        raise errors.BudgetMalformed("Write a path as names that are joined by dots, eight at most.")
    largest = row.largest_answer
    if is_of_answers != (largest is not None) or (largest is not None and not 0 < largest <= row.amount):
        raise errors.BudgetMalformed("A budget of bytes or rows, and no other, says how large an answer may be.")
    if largest is not None and largest != int(largest):
        raise errors.BudgetMalformed("How large an answer may be is a whole number.")


def _tool(row: Budget, named: str) -> Tool | None:
    """Return the tool that a budget is about. Raises BudgetToolInvalid."""
    if bool(named) != (row.unit in (_Unit.MONEY, _Unit.ROWS)):
        raise errors.BudgetToolInvalid
    if not named:
        return None
    slug, _, name = named.partition("/")
    found = Tool.objects.select_related("system").filter(system__slug=slug, name=name)
    if row.agent is None:
        found = found.filter(system=_system(row))
    if (tool := found.first()) is None:
        raise errors.BudgetToolInvalid
    return tool


def _system(row: Budget) -> System:
    if row.grant is not None:
        return row.grant.entitlement.system
    assert row.system is not None  # noqa: S101 - for the type checker: it is for nothing else
    return row.system


def _subject(row: Budget) -> subjects.Subject:
    if row.grant is not None:
        return subjects.grant(row.grant.pk)
    return subjects.agent(row.agent.pk) if row.agent is not None else subjects.system(_system(row).pk)


def _hold(row: Budget) -> None:
    lock = _subject(row).lock
    assert lock is not None  # noqa: S101 - for the type checker: each of the three has one
    locks.exclusive(lock)


def _note(row: Budget) -> None:
    changes.note(_subject(row), of=[] if row.grant is None else [subjects.agent(row.grant.agent_id)])


def _shown(row: Budget) -> dict[str, object]:
    shown = {
        "unit": row.unit,
        "amount": str(row.amount),
        "window_seconds": row.window_seconds,
        "tool": "" if row.tool is None else f"{row.tool.system.slug}/{row.tool.name}",
        "argument": row.argument,
        "currency": row.currency,
        "currency_argument": row.currency_argument,
        "largest_answer": "" if row.largest_answer is None else str(row.largest_answer),
    }
    return {name: value for name, value in shown.items() if value not in ("", None)}
