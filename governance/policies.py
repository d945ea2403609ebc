"""The verbs on approval policies: which stages a request needs by risk, in numbered versions that stay readable."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements import locks
from entitlements.errors import DomainError, Forbidden
from entitlements.locks import Lock
from entitlements.models import Entitlement, Person, Role
from entitlements.words import Risk

from . import rules
from .models import ApprovalPolicy

ANSWER_WITHIN: Final = timedelta(days=7)


class Unusable(DomainError):
    """The approval policy cannot be used, so nothing can be asked under it; a platform admin has to publish another."""

    code, status = "approval_policy_unusable", HTTPStatus.CONFLICT


class SecondPersonRequired(DomainError):
    """An approval policy changes only when a second person confirms it."""

    code, status = "second_person_required", HTTPStatus.FORBIDDEN


def current_for(entitlement: Entitlement) -> ApprovalPolicy:
    """Return the newest policy of an entitlement, or the newest default where it has none of its own."""
    own = ApprovalPolicy.objects.filter(entitlement=entitlement).order_by("-number").first()
    return own or ensure_default()


def ensure_default() -> ApprovalPolicy:
    """Return the newest default policy; the first one is made from the product's own rule when there is none."""
    newest = ApprovalPolicy.objects.filter(entitlement=None).order_by("-number").first()
    return newest or _make_default()


@transaction.atomic
def _make_default() -> ApprovalPolicy:
    locks.exclusive((Lock.REQUEST, "approval-policy:default"))
    newest = ApprovalPolicy.objects.filter(entitlement=None).order_by("-number").first()
    return newest or _create(None, rules.DEFAULT_POLICY, ANSWER_WITHIN, by=SYSTEM, reason="The product's own rule.")


@transaction.atomic
def publish(
    entitlement: Entitlement | None,
    stages: rules.Policy,
    *,
    answer_within: timedelta = ANSWER_WITHIN,
    by: Person,
    confirmed_by: Person,
    reason: str,
) -> ApprovalPolicy:
    """Publish the next version for an entitlement, or the default for None. Requests already made keep theirs.

    Raises rules.PolicyTooWeak when it asks for less than the product does, Forbidden and SecondPersonRequired unless
    two different people, each a platform admin or security approver, stand behind it.
    """
    rules.check_policy(stages)
    if by.pk == confirmed_by.pk:
        raise SecondPersonRequired
    if not all(person.has_role(Role.ADMIN, Role.SECURITY) for person in (by, confirmed_by)):
        raise Forbidden
    locks.exclusive((Lock.REQUEST, f"approval-policy:{entitlement.pk if entitlement else 'default'}"))
    return _create(entitlement, stages, answer_within, by=by.principal, reason=reason, confirmed_by=confirmed_by)


def _create(
    entitlement: Entitlement | None,
    stages: rules.Policy,
    answer_within: timedelta,
    *,
    by: Principal,
    reason: str,
    confirmed_by: Person | None = None,
) -> ApprovalPolicy:
    last = ApprovalPolicy.objects.filter(entitlement=entitlement).order_by("-number").first()
    said = {risk.value: [str(stage) for stage in stages[risk]] for risk in Risk}
    policy = ApprovalPolicy.objects.create(
        entitlement=entitlement,
        number=last.number + 1 if last else 1,
        stages=said,
        answer_within=answer_within,
        created_at=clock.now(),
        created_by=str(by),
    )
    about = [f"approval_policy:{policy.pk}", *([f"entitlement:{entitlement.scope}"] if entitlement else [])]
    log.record(
        Action.APPROVAL_POLICY_PUBLISHED,
        about=[*about, *([f"person:{confirmed_by.login}"] if confirmed_by else [])],
        by=by,
        reason=reason,
        detail={
            "number": policy.number,
            "stages": said,
            "answer_within_seconds": int(answer_within.total_seconds()),
            "confirmed_by": confirmed_by.login if confirmed_by else None,
        },
    )
    return policy


def stages_of(policy: ApprovalPolicy) -> rules.Policy:
    """Read the stages as the rules want them. Raises Unusable when they cannot be understood or ask for too little."""
    try:
        read: rules.Policy = {Risk(risk): tuple(named) for risk, named in policy.stages.items()}
        rules.check_policy(read)
    except (AttributeError, TypeError, ValueError, rules.PolicyTooWeak, rules.PolicyMalformed) as error:
        raise Unusable(policy=str(policy)) from error
    return read
