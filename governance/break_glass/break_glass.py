"""The verbs of an emergency: one person gives access at once, for an hour at most; another looks at it when it is over.

docs/decisions/0014 says who may, for whom never, and what an emergency may go beyond.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements.access.reauthentication import has_second_factor
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, NotRecordable, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.people.models import Membership, Person, Role
from entitlements.words import Risk
from governance.approval_policies import rules as policy_rules
from governance.break_glass.models import LONGEST_EMERGENCY, BreakGlassGrant
from governance.conflicts_of_interest import facts, rules
from governance.conflicts_of_interest.rules import Reason, Standing
from governance.eligibility import eligibility, narrowing
from governance.eligibility.eligibility import RequestTerms
from governance.requests.models import AccessRequest
from governance.setup import readiness
from governance.sod import check, exceptions
from governance.sod import facts as sod_facts
from governance.tickets import tickets

MAY: Final = (Role.SECURITY, Role.ANALYST)
"""Who declares an emergency at any system; besides them a system's owner at that system."""
AROUND: Final = ("given_by", "reviewed_by", "grant__agent", "grant__entitlement__system")
REVIEWERS: Final = (Role.SECURITY,)
ANSWER_WITHIN: Final = timedelta(days=2)
SETUP: Final = "setup"
_ASKED_LATELY: Final = timedelta(days=30)
"""A person who requested the same within this time does not declare the emergency: it would be for themselves."""
_CONTROL: Final = "Break-glass access for an hour at most, reviewed afterwards."


class SecondFactorNeeded(DomainError):
    """Break-glass access needs an authenticator app or a passkey, and that you confirm it with it."""

    code, status = "second_factor_needed", HTTPStatus.FORBIDDEN


class SelfBreakGlass(DomainError):
    """You cannot give or review break-glass access for an agent that you answer for, requested for, or benefit from."""

    code, status = "self_break_glass", HTTPStatus.FORBIDDEN


class BreakGlassTooLong(DomainError):
    """Break-glass access lasts an hour at most."""

    code, status = "break_glass_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class ReviewOwed(DomainError):
    """Your last break-glass access is not reviewed yet. Until it is, another person declares the next."""

    code, status = "break_glass_review_owed", HTTPStatus.CONFLICT


class BreakGlassNotOver(DomainError):
    """The break-glass access is still in force. Review it when it is over, or revoke it now."""

    code, status = "break_glass_not_over", HTTPStatus.CONFLICT


class BreakGlassReviewed(DomainError):
    """Another person has reviewed it already."""

    code, status = "break_glass_reviewed_already", HTTPStatus.CONFLICT


@transaction.atomic
def give(
    agent: Agent,
    entitlement: Entitlement,
    ask: RequestTerms,
    *,
    by: Person,
    combinations: Collection[str] = (),
    before_setup: bool = False,
) -> BreakGlassGrant:
    """Give access at once, within an entitlement, without an approval. The door has had the second factor proven.

    `combinations` names the rules that it completes, and `before_setup` says that the set-up lacks something: what is
    not named is not exceeded. Raises Forbidden, SecondFactorNeeded, SelfBreakGlass, ReviewOwed, BreakGlassTooLong,
    readiness.SetupIncomplete, check.SodPolicyViolated, NotRecordable, and what tickets.check, `eligibility` and
    grants.issue raise.
    """
    narrowing.check_size(ask.limits, ask.reason)
    ask = replace(ask, ticket=tickets.check(tickets.Place.BREAK_GLASS, ask.ticket))
    _lock(agent, entitlement, ask, by)
    agent = Agent.objects.select_related("sponsor", "owner", "backup").get(pk=agent.pk)
    entitlement = Entitlement.objects.select_related("system__owner").get(pk=entitlement.pk)
    _check_giver(by, agent, entitlement, ask)
    if not timedelta(0) < ask.lasts <= LONGEST_EMERGENCY:
        raise BreakGlassTooLong
    eligibility.check_people(agent, ask.people, ask.groups)
    eligibility.check_in_force(agent, entitlement, Person.objects.filter(pk__in=[each.pk for each in ask.people]))
    lines = eligibility.lines(entitlement, ask)
    eligibility.check_two_people(agent, (tool.risk for tool in lines))
    now = clock.now()
    exceeded = _exceed(agent, lines, ask, by=by, combinations=combinations, before_setup=before_setup)
    made = BreakGlassGrant(
        given_by=by,
        given_at=now,
        ends_at=now + ask.lasts,
        reason=ask.reason,
        ticket=ask.ticket,
        exceeded=exceeded,
        id=uuid4(),
    )
    terms = grants.Terms(
        lines, now, made.ends_at, ask.people, ask.groups, extra_links=(f"emergency:{made.pk}",), beside=True
    )
    try:
        made.grant = grants.issue(agent, entitlement, terms, by=by.principal, reason=ask.reason)
        _store(made)
        detail = _event_detail(made, lines)
        log.record(Action.BREAK_GLASS_DECLARED, about=about(made), by=by.principal, reason=ask.reason, detail=detail)
    except (BadEvent, Unrepresentable) as error:
        raise NotRecordable from error
    return made


def _event_detail(made: BreakGlassGrant, lines: Mapping[Tool, Any]) -> dict[str, Any]:
    """Return the detail of the event: for how long, what it exceeds, the tools, and the ticket if it names one."""
    return {
        "lasts_seconds": int((made.ends_at - made.given_at).total_seconds()),
        "exceeded": made.exceeded,
        "lines": sorted(map(str, lines)),
        **({"ticket": made.ticket} if made.ticket else {}),
    }


def _store(made: BreakGlassGrant) -> None:
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        raise ReviewOwed from error


def _lock(agent: Agent, entitlement: Entitlement, ask: RequestTerms, by: Person) -> None:
    """Hold what the grant depends on together with issuers, as the last approval of a request does."""
    people = {by.pk, agent.sponsor_id, *(person.pk for person in ask.people)}
    tools = entitlement.lines.values_list("tool_id", flat=True)
    locks.shared(
        [
            (Lock.AGENT, agent.pk),
            (Lock.SYSTEM, entitlement.system_id),
            *((Lock.PERSON, person) for person in people),
            *((Lock.TOOL, tool) for tool in tools),
        ]
    )


def givable(person: Person, among: QuerySet[Entitlement]) -> QuerySet[Entitlement]:
    """Return the entitlements for which a person may declare an emergency, before the agent is known."""
    return among if person.has_role(*MAY) else among.filter(system__owner=person, system__owner__is_active=True)


def _check_giver(by: Person, agent: Agent, entitlement: Entitlement, ask: RequestTerms) -> None:
    by.refresh_from_db(fields=["is_active"])
    if not givable(by, Entitlement.objects.filter(pk=entitlement.pk)).exists():
        raise Forbidden
    if not has_second_factor(by):
        raise SecondFactorNeeded
    accounts = independence.accounts_of(by)
    members = Membership.objects.filter(person__in=accounts, group__in=ask.groups).values_list("person", flat=True)
    lately = AccessRequest.objects.filter(
        agent=agent, entitlement=entitlement, requested_by__in=accounts, asked_at__gte=clock.now() - _ASKED_LATELY
    )
    standing = Standing(
        requesters=frozenset(pk for pk in lately.values_list("requested_by", flat=True) if pk),
        beneficiaries=frozenset({*(person.pk for person in ask.people), *members}),
    )
    if _conflict(accounts, agent, standing):
        raise SelfBreakGlass
    if owed(by):
        raise ReviewOwed


def _conflict(accounts: Sequence[Person], agent: Agent, standing: Standing[int]) -> Reason | None:
    """Return the rule by which a person has a part in an emergency, or in an agent that may have its agent work."""
    keys = [account.pk for account in accounts]
    standings = itertools.chain([standing], (facts.of_agent(caller, accounts) for caller in sod_facts.callers(agent)))
    return next(filter(None, (rules.conflict(keys, each) for each in standings)), None)


def owed(person: Person) -> bool:
    """Whether an emergency that this person declared is not reviewed yet."""
    return BreakGlassGrant.objects.filter(given_by__in=independence.accounts_of(person), verdict="").exists()


def _exceed(
    agent: Agent,
    lines: Mapping[Tool, Any],
    ask: RequestTerms,
    *,
    by: Person,
    combinations: Collection[str],
    before_setup: bool,
) -> list[str]:
    """Exceed what was named, and only what has to be; return what that is. Raises what refuses it."""
    exceeded = []
    try:
        readiness.check_allows(policy_rules.highest(Risk(tool.risk) for tool in lines))
    except readiness.SetupIncomplete:
        if not before_setup:
            raise
        exceeded.append(SETUP)
    check.lock_policies()
    for each in check.would_violate(agent, lines):
        if each.exception is None and each.rule.name in combinations:
            ends = clock.now() + ask.lasts
            how = {"reason": ask.reason, "ticket": ask.ticket}
            exceptions.cover(each.rule, each.agent, control=_CONTROL, expires_at=ends, by=by, **how)
            exceeded.append(f"combination {each.rule.name} of {each.agent.slug}")
    return exceeded


@transaction.atomic
def review(emergency_id: UUID, *, by: Person, verdict: str, reason: str) -> BreakGlassGrant:
    """Say of an emergency that is over whether it was justified, as a person of security who has no part in it.

    Raises NotFound, Forbidden, SelfBreakGlass, ReasonRequired, BreakGlassNotOver, BreakGlassReviewed.
    """
    rows = BreakGlassGrant.objects.select_for_update(of=("self",)).select_related(*AROUND)
    if (found := rows.filter(pk=emergency_id).first()) is None:
        raise NotFound
    if not by.has_role(*REVIEWERS):
        raise Forbidden
    accounts = independence.accounts_of(by)
    served = found.grant.subjects.filter(Q(person__in=accounts) | Q(group__people__in=accounts)).exists()
    beneficiaries = frozenset(account.pk for account in accounts) if served else frozenset[int]()
    standing = Standing(own=frozenset({found.given_by_id}), beneficiaries=beneficiaries)
    if _conflict(accounts, found.grant.agent, standing):
        raise SelfBreakGlass
    if not reason.strip():
        raise ReasonRequired
    if not is_over(found):
        raise BreakGlassNotOver
    if found.verdict:
        raise BreakGlassReviewed
    found.verdict, found.finding = BreakGlassGrant.Verdict(verdict), reason
    found.reviewed_by, found.reviewed_at = by, clock.now()
    found.save(update_fields=["verdict", "finding", "reviewed_by", "reviewed_at"])
    detail = {"verdict": found.verdict, "given_by": found.given_by.login}
    log.record(Action.BREAK_GLASS_REVIEWED, about=about(found), by=by.principal, reason=reason, detail=detail)
    return found


def is_over(found: BreakGlassGrant) -> bool:
    """Whether the access has ended, by its time or before."""
    return found.grant.ended_at is not None or found.ends_at <= clock.now()


@transaction.atomic
def open_reviews(limit: int = 100) -> int:
    """Open the review of up to `limit` emergencies that are over, and return how many; skips what is held."""
    over = Q(grant__ended_at__isnull=False) | Q(ends_at__lte=clock.now())
    rows = BreakGlassGrant.objects.filter(over, verdict="", review_by=None).select_related(*AROUND)
    due = list(rows.order_by("ends_at").select_for_update(of=("self",), skip_locked=True)[:limit])
    for found in due:
        found.review_by = (found.grant.ended_at or found.ends_at) + ANSWER_WITHIN
        found.save(update_fields=["review_by"])
        detail = {"review_by": found.review_by.isoformat()}
        log.record(Action.BREAK_GLASS_ENDED, about=about(found), by=SYSTEM, reason="The access is over.", detail=detail)
    return len(due)


def about(found: BreakGlassGrant) -> list[str]:
    """Return the links by which the record of an emergency is found again."""
    return [f"emergency:{found.pk}", *grants.about(found.grant), *tickets.links(found.ticket)]
