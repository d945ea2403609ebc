"""Actions on SoD policies: one person proposes a version, another publishes it, or it is withdrawn."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError
from entitlements.people.models import Person, Role
from governance.proposals import proposals
from governance.sod.models import SodPolicy

from . import check
from . import rules as sod_rules

State = SodPolicy.State
MAY: Final = (Role.ANALYST, Role.SECURITY)
"""Who proposes and publishes rules."""


class AlreadyProposed(DomainError):
    """The policy already has a proposed version. Publish or withdraw that one first."""

    code, status = "sod_policy_proposed_already", HTTPStatus.CONFLICT


class NotProposed(DomainError):
    """The policy version is no longer a proposal."""

    code, status = "sod_policy_not_proposed", HTTPStatus.CONFLICT


class SelfConfirmation(DomainError):
    """You cannot publish this policy because you proposed it. Ask a second person."""

    code, status = "self_confirmation", HTTPStatus.FORBIDDEN


@transaction.atomic
def propose(
    name: str, *, sentence: str, sides: list[dict[str, Any]], on: bool = True, by: Person, reason: str
) -> SodPolicy:
    """Propose the first or next version of a rule; it has no effect until another person publishes it.

    Raises Forbidden, ReasonRequired, rules.SidesMalformed, AlreadyProposed.
    """
    proposals.check(by, reason, MAY)
    sod_rules.read(sides)
    check.lock_policies()
    last = SodPolicy.objects.filter(name=name).order_by("-number").first()
    try:
        with transaction.atomic():
            rule = SodPolicy.objects.create(
                name=name,
                number=last.number + 1 if last else 1,
                sentence=sentence,
                sides=sides,
                on=on,
                reason=reason,
                proposed_by=by,
                proposed_at=clock.now(),
            )
    except IntegrityError as error:
        raise AlreadyProposed from error
    _record(Action.SOD_POLICY_PROPOSED, rule, by, reason)
    return rule


@transaction.atomic
def publish(rule_id: UUID, *, by: Person, reason: str) -> SodPolicy:
    """Put a proposed version in force, in the place of the one before. Who holds it already shows as a finding.

    Raises NotFound, Forbidden, ReasonRequired, NotProposed, SelfConfirmation.
    """
    proposals.check(by, reason, MAY)
    rule = _RULES.held(rule_id, State.PROPOSED)
    _RULES.second(rule, by)
    SodPolicy.objects.filter(name=rule.name, state=State.PUBLISHED).update(state=State.REPLACED)
    rule.state, rule.published_by, rule.published_at = State.PUBLISHED, by, clock.now()
    rule.save(update_fields=["state", "published_by", "published_at"])
    _record(Action.SOD_POLICY_PUBLISHED, rule, by, reason)
    return rule


@transaction.atomic
def withdraw(rule_id: UUID, *, by: Person, reason: str) -> SodPolicy:
    """Drop a proposed version. Raises NotFound, Forbidden, ReasonRequired, NotProposed."""
    proposals.check(by, reason, MAY)
    rule = _RULES.held(rule_id, State.PROPOSED)
    rule.state = State.WITHDRAWN
    rule.save(update_fields=["state"])
    _record(Action.SOD_POLICY_WITHDRAWN, rule, by, reason)
    return rule


def about(rule: SodPolicy) -> list[str]:
    """Return the audit log's links of a rule."""
    return [f"sod_policy:{rule.name}"]


def _record(action: Action, rule: SodPolicy, by: Person, reason: str) -> None:
    detail = {"number": rule.number, "sentence": rule.sentence, "sides": rule.sides, "on": rule.on}
    log.record(action, about=about(rule), by=by.principal, reason=reason, detail=detail)


_RULES: Final = proposals.TwoPersonProposal(
    lambda: SodPolicy.objects.select_related("proposed_by"),
    lambda _rule: check.lock_policies(),
    over=NotProposed,
    own=SelfConfirmation,
    may=MAY,
    withdraw=withdraw,
)
