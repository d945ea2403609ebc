"""Actions on exceptions from SoD policies: give one, end it, and expire those whose time is over."""

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
from entitlements.proposals.in_force import may
from governance.conflicts_of_interest import facts, rules
from governance.sod.models import LONGEST_EXCEPTION, SodException, SodPolicy
from governance.tickets import tickets

from . import check
from . import facts as sod_facts
from . import rules as sod_rules

MAY: Final = (Role.SECURITY,)
"""Who gives and ends exceptions."""
OVER: Final = "The exception from the rule has ended."
_LOOKS_BACK: Final = timedelta(days=7)
"""How long after its end an exception is followed up; a minute is enough while the worker runs."""


class ExceptionTooLong(DomainError):
    """An exception must end in the future, and within 180 days. Choose an earlier end."""

    code, status = "exception_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class RuleNotInForce(DomainError):
    """The policy version is not in force, so it cannot have exceptions."""

    code, status = "sod_policy_not_in_force", HTTPStatus.CONFLICT


class SelfException(DomainError):
    """You cannot give this exception because you own the agent, requested its access, or benefit from it."""

    code, status = "self_exception", HTTPStatus.FORBIDDEN


class ExceptionGiven(DomainError):
    """The agent already has an exception from this policy. End that one first."""

    code, status = "exception_given_already", HTTPStatus.CONFLICT


class ExceptionEnded(DomainError):
    """The exception has already ended."""

    code, status = "exception_ended_already", HTTPStatus.CONFLICT


@transaction.atomic
def give(
    rule_id: UUID, agent: Agent, *, control: str, expires_at: datetime, by: Person, reason: str, ticket: str = ""
) -> SodException:
    """Let an agent violate a policy until a day; `control` is the mitigating control.

    Raises Forbidden unless security does it, ReasonRequired, ExceptionTooLong, NotFound, RuleNotInForce, SelfException,
    ExceptionGiven, tickets.TicketMissing, tickets.TicketNotRecognised.
    """
    may(by, reason, MAY)
    if not control.strip():
        raise ReasonRequired
    ticket = tickets.check(tickets.Place.SOD_EXCEPTION, ticket)
    now = clock.now()
    if not now < expires_at <= now + LONGEST_EXCEPTION:
        raise ExceptionTooLong
    check.lock_policies()
    rule = SodPolicy.objects.filter(pk=rule_id).first()
    if rule is None:
        raise NotFound
    if rule.state != SodPolicy.State.IN_FORCE or not rule.on:
        raise RuleNotInForce
    if is_concerned(by, agent):
        raise SelfException
    return cover(rule, agent, control=control, expires_at=expires_at, by=by, reason=reason, ticket=ticket)


def cover(
    rule: SodPolicy, agent: Agent, *, control: str, expires_at: datetime, by: Person, reason: str, ticket: str
) -> SodException:
    """Store an exception; its caller has checked who gives it, and its ticket. Raises ExceptionGiven.

    Needs `check.lock_policies`.
    """
    now = clock.now()
    try:
        with transaction.atomic():
            exception = SodException.objects.create(
                rule=rule,
                agent=agent,
                reason=reason,
                control=control,
                ticket=ticket,
                given_by=by,
                given_at=now,
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise ExceptionGiven from error
    detail = {"version": rule.number, "control": control, "expires_at": expires_at.isoformat()}
    if ticket:
        detail["ticket"] = ticket
    log.record(Action.SOD_EXCEPTION_GIVEN, about=about(exception), by=by.principal, reason=reason, detail=detail)
    return exception


def is_concerned(person: Person, agent: Agent) -> bool:
    """Whether a person answers for an agent, asked for what it holds or may come to hold, or is acted for (promise 6).

    Every account of theirs counts.
    """
    accounts = independence.accounts_of(person)
    standing = facts.of_agent(agent, accounts)
    return rules.conflict([account.pk for account in accounts], standing) is not None


@transaction.atomic
def end(exception_id: UUID, *, by: Person, reason: str) -> SodException:
    """End an exception before its time; `settle` then suspends what it covered.

    Raises NotFound, Forbidden, ReasonRequired, ExceptionEnded.
    """
    may(by, reason, MAY)
    check.lock_policies()
    exception = SodException.objects.select_related("rule", "agent").filter(pk=exception_id).first()
    if exception is None:
        raise NotFound
    if exception.ended_at is not None:
        raise ExceptionEnded
    exception.ended_at, exception.end_reason = clock.now(), reason
    exception.save(update_fields=["ended_at", "end_reason"])
    log.record(Action.SOD_EXCEPTION_ENDED, about=about(exception), by=by.principal, reason=reason)
    return exception


@transaction.atomic
def expire_due(limit: int = 1000) -> int:
    """End up to `limit` exceptions whose time is over, and return how many."""
    check.lock_policies()
    now = clock.now()
    due = SodException.objects.filter(ended_at=None, expires_at__lte=now).select_related("rule", "agent")
    rows = list(due.order_by("expires_at")[:limit])
    ended = SodException.objects.filter(pk__in=[row.pk for row in rows])
    ended.update(ended_at=now, end_reason="Its time is over.")
    log_rows = [log.Row(about=about(row), reason="Its time is over.") for row in rows]
    if log_rows:
        log.record_many(Action.SOD_EXCEPTION_EXPIRED, log_rows, by=SYSTEM)
    return len(rows)


def settle() -> int:
    """Suspend what exceptions that ended no longer cover, and return how many grants that took.

    The newest grants of the agent go first, until it no longer violates the policy. What it holds through an agent
    that it may call stays a finding. Each suspension is a transaction of its own: so that no two of them deadlock.
    """
    in_force = SodPolicy.objects.filter(state=SodPolicy.State.IN_FORCE, on=True)
    ended = SodException.objects.filter(ended_at__gt=clock.now() - _LOOKS_BACK, rule__in=in_force)
    pairs = ended.order_by("agent", "rule").distinct("agent", "rule").select_related("agent", "rule")
    return sum(_suspend(exception.agent, exception.rule) for exception in pairs)


def _suspend(agent: Agent, rule: SodPolicy) -> int:
    suspended = 0
    while _is_uncovered(agent, rule):
        newest = _newest(agent, sod_rules.read(rule.sides))
        if newest is None:
            break
        grants.suspend(newest.pk, by=SYSTEM, reason=f"{OVER} It was from {rule.name}.")
        suspended += 1
    return suspended


def _is_uncovered(agent: Agent, rule: SodPolicy) -> bool:
    return any(violation.rule == rule and violation.exception is None for violation in check.current_violations(agent))


def _newest(agent: Agent, sides: Sequence[sod_rules.Side]) -> Grant | None:
    """Return the newest grant in force that puts a tool on one of the sides."""
    held = Grant.objects.filter(agent=agent, state=Grant.State.ACTIVE, expires_at__gt=clock.now())
    for grant in held.order_by("-created_at").prefetch_related("lines__tool__system"):
        if sod_rules.touches(sides, [sod_facts.held_tool(line.tool) for line in grant.lines.all()]):
            return grant
    return None


def about(exception: SodException) -> list[str]:
    """Return the audit log's links of an exception."""
    return [
        f"sod_exception:{exception.pk}",
        f"sod_policy:{exception.rule.name}",
        f"agent:{exception.agent.slug}",
        *tickets.links(exception.ticket),
    ]
