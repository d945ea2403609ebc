"""Explicit rules that approve a request without a person, and the person who looks at it a week later.

A rule is proposed by one person and confirmed by another, ends by itself, and is bounded by the product: low risk,
reading only, nothing that completes a combination, no renewal, nothing that was denied or taken back lately. What does
not fit waits for people, as every request does.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Max, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.conflicts import independence
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Group, Person, Role
from entitlements.proposals.in_force import LastingKind, State, may
from entitlements.words import Risk
from governance.approval_policies.models import LONGEST_BY_RULE, LONGEST_RULE, AutoApproval, AutoApprovalRule
from governance.approvals.models import Approval
from governance.conflicts_of_interest import rules as conflict_rules
from governance.conflicts_of_interest.rules import Reason
from governance.requests import facts as request_facts
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.sod import check

from . import facts, issue

MAY_PROPOSE: Final = (Role.ANALYST, Role.SECURITY)
STAGE: Final = "rule"
"""The stage of an answer that a rule gave."""
LOOK_AFTER: Final = timedelta(days=7)
_REMEMBERED: Final = timedelta(days=90)
"""How long after a denial, or after access by rule was taken back, the same agent's next request needs a person."""
_OWN: Final = {Reason.REQUESTED_IT, Reason.BENEFITS, Reason.OWNS_THE_AGENT}


class OutOfBounds(DomainError):
    """A rule lets an agent of at least one kind read for at most 90 days, and no longer than the entitlement allows.

    It ends within a year.
    """

    code, status = "auto_approval_rule_out_of_bounds", HTTPStatus.UNPROCESSABLE_ENTITY


class SelfConfirmationOfRule(DomainError):
    """You cannot confirm a rule that you proposed, nor check what your rule approved; another person does."""

    code, status = "self_confirmation_of_rule", HTTPStatus.FORBIDDEN


def propose(
    entitlement: Entitlement,
    *,
    longest: timedelta,
    kinds: Collection[str],
    group: Group | None = None,
    expires_at: datetime,
    by: Person,
    reason: str,
) -> AutoApprovalRule:
    """Propose a rule for an entitlement; it approves nothing until another person confirms it.

    `kinds` are the kinds of agents it is for; with `group` only its members are acted for. Raises OutOfBounds, and as
    LastingKind.propose.
    """
    may(by, reason, MAY_PROPOSE)
    now = clock.now()
    known = set(kinds) <= set(Agent.Kind.values)
    if not (kinds and known and timedelta(0) < longest <= min(LONGEST_BY_RULE, entitlement.longest)):
        raise OutOfBounds
    if not now < expires_at <= now + LONGEST_RULE:
        raise OutOfBounds
    terms = {"longest": longest, "kinds": sorted(kinds), "group": group, "expires_at": expires_at}
    return KIND.propose(AutoApprovalRule(entitlement=entitlement, **terms), by=by, reason=reason)


def _check_time(rule: AutoApprovalRule, _by: Person) -> None:
    if rule.expires_at <= clock.now():
        raise OutOfBounds


def about(rule: AutoApprovalRule) -> list[str]:
    """Return the links by which the record of a rule is found again."""
    return [f"approval_rule:{rule.pk}", f"entitlement:{rule.entitlement.scope}"]


def bounds(rule: AutoApprovalRule) -> dict[str, Any]:
    """Say what a rule lets through, for the record."""
    return {
        "longest_seconds": int(rule.longest.total_seconds()),
        "kinds": rule.kinds,
        "group": rule.group.slug if rule.group else None,
        "expires_at": rule.expires_at.isoformat(),
    }


KIND: Final = LastingKind(
    name="auto_approval_rule",
    noun="rule",
    model=AutoApprovalRule,
    subject=None,
    related=("entitlement", "group"),
    events={
        State.PROPOSED: Action.AUTO_APPROVAL_RULE_PROPOSED,
        State.IN_FORCE: Action.AUTO_APPROVAL_RULE_CONFIRMED,
        State.WITHDRAWN: Action.AUTO_APPROVAL_RULE_WITHDRAWN,
        State.ENDED: Action.AUTO_APPROVAL_RULE_ENDED,
    },
    hold=lambda rule: locks.exclusive((Lock.REQUEST, f"approval-rule:{rule.pk}")),
    about=about,
    detail=bounds,
    check=_check_time,
    proposers=MAY_PROPOSE,
    confirmers=(Role.SECURITY,),
    enders=MAY_PROPOSE,
    confirm_needs_reason=True,
    codes={
        "over": "auto_approval_rule_decided",
        "proposed_by_own_account": SelfConfirmationOfRule,
        "proposed_already": "",
        "unchanged": "",
    },
)
"""A rule is held alone: what it is approving now waits, or sees what becomes of it."""


# ------------------------------------------------------------------------------------------------ a rule answers


def consider(request: AccessRequest) -> None:
    """Approve a request that was just made, if a rule covers it; else it waits for people as every request does."""
    if not _rules(request).exists():
        return
    try:
        with transaction.atomic():
            _approve(request.pk)
    except DomainError:  # such as access that came meanwhile: people see it when they answer
        return
    request.refresh_from_db()


def _rules(request: AccessRequest) -> QuerySet[AutoApprovalRule]:
    """Return the rules in force that a request fits by its own row."""
    if request.risk != Risk.LOW or request.renews_id is not None or request.appeals_id is not None:
        return AutoApprovalRule.objects.none()
    rows = AutoApprovalRule.objects.filter(
        entitlement=request.entitlement, state=State.IN_FORCE, expires_at__gt=clock.now(), longest__gte=request.lasts
    )
    fitting = rows.filter(kinds__contains=[request.agent.kind]).order_by("confirmed_at")
    return fitting.select_related("entitlement", "group", "proposed_by", "confirmed_by")


def _approve(request_id: UUID) -> None:
    request = requests.locked(request_id)
    locks.shared((Lock.REQUEST, f"approval-rule:{pk}") for pk in _rules(request).values_list("pk", flat=True))
    rule = next((rule for rule in _rules(request) if _fits(rule, request)), None)
    if rule is None or not _is_harmless(request):
        return
    lines = {line.tool: line.limits for line in requests.kept_lines(request).values()}
    grant, now, grant_id = facts.GrantFacts.read(request, lines), clock.now(), uuid4()
    requests.void(request)
    last = request.approvals.aggregate(last=Max("position"))["last"] or 0
    Approval.objects.create(
        request=request,
        position=last + 1,
        stage=STAGE,
        answer=Approval.Answer.APPROVED,
        rule=rule,
        answered_at=now,
        reason=rule.reason,
        resolution={"chosen": [], "rule": STAGE, "skipped": [], "evaluated_at": now.isoformat()},
    )
    AutoApproval.objects.create(request=request, rule=rule, approved_at=now, look_from=now + LOOK_AFTER)
    detail = {"stage": STAGE, "rule": str(rule.pk), **bounds(rule), "state": AccessRequest.State.APPROVED}
    links = [*requests.about(request), f"grant:{grant_id}", f"approval_rule:{rule.pk}"]
    with requests.trace_of(request):
        log.record(Action.APPROVAL_GIVEN_BY_RULE, about=links, by=SYSTEM, reason=rule.reason, detail=detail)
        issue.issue(grant, grant_id, by=SYSTEM)


def _fits(rule: AutoApprovalRule, request: AccessRequest) -> bool:
    """Whether those acted for are in the rule's group, and neither of the two behind it gains by this request."""
    people = list(request.people.all())
    if rule.group is not None:
        inside = rule.group.people.filter(pk__in=[person.pk for person in people]).count()
        if not people or inside < len(people) or request.groups.exists():
            return False
    behind = [account.login for person in people_behind(rule) for account in independence.accounts_of(person)]
    return _OWN.isdisjoint(conflict_rules.conflicts(behind, request_facts.people_of(request)))


def people_behind(rule: AutoApprovalRule) -> list[Person]:
    """Return the two people who proposed and confirmed a rule."""
    return [person for person in (rule.proposed_by, rule.confirmed_by) if person]


def _is_harmless(request: AccessRequest) -> bool:
    """Whether it only reads, at low risk, completes no combination, and no like request was denied lately."""
    tools = [line.tool for line in requests.kept_lines(request).values()]
    if not tools or any(tool.risk != Risk.LOW or tool.action != "read" for tool in tools):
        return False
    same = AccessRequest.objects.filter(agent=request.agent, entitlement=request.entitlement)
    since = clock.now() - _REMEMBERED
    denied = same.filter(state=AccessRequest.State.DENIED, decided_at__gt=since)
    taken_back = same.filter(by_rule__verdict=AutoApproval.Verdict.REVOKE, by_rule__looked_at__gt=since)
    return not (denied.exists() or taken_back.exists() or check.violations_of_request(request))
