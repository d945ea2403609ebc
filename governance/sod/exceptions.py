"""The verbs on exceptions from rules about combinations: give one, end it, and end those whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from governance.conflicts_of_interest import facts, rules
from governance.proposals import proposals
from governance.sod.models import LONGEST_EXCEPTION, CombinationException, CombinationRule

from . import check
from . import rules as sod_rules

MAY: Final = (Role.SECURITY,)
"""Who gives and ends exceptions."""
OVER: Final = "The exception from the rule has ended."
_LOOKS_BACK: Final = timedelta(days=7)
"""How long after its end an exception is followed up; a minute is enough while the worker runs."""


class ExceptionTooLong(DomainError):
    """An exception ends in the future, and within 180 days."""

    code, status = "exception_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class RuleNotInForce(DomainError):
    """Only a rule in force can have exceptions."""

    code, status = "combination_not_in_force", HTTPStatus.CONFLICT


class OwnException(DomainError):
    """Nobody excepts an agent that they answer for, asked for, or benefit from."""

    code, status = "own_exception", HTTPStatus.FORBIDDEN


class ExceptionGiven(DomainError):
    """The agent has an exception from this rule already: end that one first."""

    code, status = "exception_given_already", HTTPStatus.CONFLICT


class ExceptionEnded(DomainError):
    """The exception has ended."""

    code, status = "exception_ended_already", HTTPStatus.CONFLICT


@transaction.atomic
def give(
    rule_id: UUID, agent: Agent, *, control: str, expires_at: datetime, by: Person, reason: str
) -> CombinationException:
    """Let an agent hold a combination until a day, since `control` makes up for it.

    Raises Forbidden unless security does it, ReasonRequired, ExceptionTooLong, NotFound, RuleNotInForce, OwnException,
    ExceptionGiven.
    """
    proposals.check(by, reason, MAY)
    if not control.strip():
        raise ReasonRequired
    now = clock.now()
    if not now < expires_at <= now + LONGEST_EXCEPTION:
        raise ExceptionTooLong
    check.alone()
    rule = CombinationRule.objects.filter(pk=rule_id).first()
    if rule is None:
        raise NotFound
    if rule.state != CombinationRule.State.PUBLISHED or not rule.on:
        raise RuleNotInForce
    if is_concerned(by, agent):
        raise OwnException
    return cover(rule, agent, control=control, expires_at=expires_at, by=by, reason=reason)


def cover(
    rule: CombinationRule, agent: Agent, *, control: str, expires_at: datetime, by: Person, reason: str
) -> CombinationException:
    """Except an agent, on whose word its caller has decided. Raises ExceptionGiven. Needs `check.alone`."""
    now = clock.now()
    try:
        with transaction.atomic():
            given = CombinationException.objects.create(
                rule=rule, agent=agent, reason=reason, control=control, given_by=by, given_at=now, expires_at=expires_at
            )
    except IntegrityError as error:
        raise ExceptionGiven from error
    detail = {"version": rule.number, "control": control, "expires_at": expires_at.isoformat()}
    log.record(Action.COMBINATION_EXCEPTION_GIVEN, about=about(given), by=by.principal, reason=reason, detail=detail)
    return given


def is_concerned(person: Person, agent: Agent) -> bool:
    """Whether a person answers for an agent, asked for what it holds or may come to hold, or is acted for (promise 6).

    Every account of theirs counts.
    """
    accounts = independence.accounts_of(person)
    standing = facts.of_agent(agent, accounts)
    return rules.conflict([account.pk for account in accounts], standing) is not None


@transaction.atomic
def end(exception_id: UUID, *, by: Person, reason: str) -> CombinationException:
    """End an exception before its time; `settle` then suspends what it covered.

    Raises NotFound, Forbidden, ReasonRequired, ExceptionEnded.
    """
    proposals.check(by, reason, MAY)
    check.alone()
    found = CombinationException.objects.select_related("rule", "agent").filter(pk=exception_id).first()
    if found is None:
        raise NotFound
    if found.ended_at is not None:
        raise ExceptionEnded
    found.ended_at, found.end_reason = clock.now(), reason
    found.save(update_fields=["ended_at", "end_reason"])
    log.record(Action.COMBINATION_EXCEPTION_ENDED, about=about(found), by=by.principal, reason=reason)
    return found


@transaction.atomic
def expire_due(limit: int = 1000) -> int:
    """End up to `limit` exceptions whose time is over, and return how many."""
    check.alone()
    now = clock.now()
    due = CombinationException.objects.filter(ended_at=None, expires_at__lte=now).select_related("rule", "agent")
    rows = list(due.order_by("expires_at")[:limit])
    ended = CombinationException.objects.filter(pk__in=[row.pk for row in rows])
    ended.update(ended_at=now, end_reason="Its time is over.")
    said = [log.Row(about=about(row), reason="Its time is over.") for row in rows]
    if said:
        log.record_many(Action.COMBINATION_EXCEPTION_EXPIRED, said, by=SYSTEM)
    return len(rows)


def settle() -> int:
    """Suspend what exceptions that ended no longer cover, and return how many grants that took.

    The newest grants of the agent go first, until it holds the combination no longer. What it holds through an agent
    that it may call stays a finding. Each suspension is a transaction of its own: nobody waits in a ring.
    """
    in_force = CombinationRule.objects.filter(state=CombinationRule.State.PUBLISHED, on=True)
    ended = CombinationException.objects.filter(ended_at__gt=clock.now() - _LOOKS_BACK, rule__in=in_force)
    pairs = ended.order_by("agent", "rule").distinct("agent", "rule").select_related("agent", "rule")
    return sum(_suspend(each.agent, each.rule) for each in pairs)


def _suspend(agent: Agent, rule: CombinationRule) -> int:
    suspended = 0
    while _is_uncovered(agent, rule):
        newest = _newest(agent, sod_rules.read(rule.sides))
        if newest is None:
            break
        grants.suspend(newest.pk, by=SYSTEM, reason=f"{OVER} It was from {rule.name}.")
        suspended += 1
    return suspended


def _is_uncovered(agent: Agent, rule: CombinationRule) -> bool:
    return any(each.rule == rule and each.exception is None for each in check.held_now(agent))


def _newest(agent: Agent, sides: Sequence[sod_rules.Side]) -> Grant | None:
    """Return the newest grant in force that puts a tool on one of the sides."""
    held = Grant.objects.filter(agent=agent, state=Grant.State.ACTIVE, expires_at__gt=clock.now())
    for grant in held.order_by("-created_at").prefetch_related("lines__tool__system"):
        if sod_rules.touches(sides, [check.as_held(line.tool) for line in grant.lines.all()]):
            return grant
    return None


def about(given: CombinationException) -> list[str]:
    """Return the links by which the record of an exception is found again."""
    return [
        f"combination_exception:{given.pk}",
        f"combination_rule:{given.rule.name}",
        f"agent:{given.agent.slug}",
    ]
