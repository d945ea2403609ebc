"""The actions on the credential policy: one person proposes, another confirms, or it is withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.credential_policy import policy
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.credential_policy.rules import Kind
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from governance.credential_policy.models import CredentialPolicyProposal
from governance.proposals import proposals

MAY: Final = (Role.ADMIN, Role.SECURITY)
"""Who proposes and confirms how old credentials may become."""
State = CredentialPolicyProposal.State


class SecondPersonRequired(DomainError):
    """You cannot confirm this policy because you proposed it. Another admin or security approver confirms it."""

    code, status = "second_person_required", HTTPStatus.FORBIDDEN


class AlreadyProposed(DomainError):
    """Another credential policy waits already. Confirm or withdraw that one first."""

    code, status = "credential_policy_proposed_already", HTTPStatus.CONFLICT


class NotProposed(DomainError):
    """The proposal was confirmed or withdrawn before. Propose it again."""

    code, status = "credential_policy_not_proposed", HTTPStatus.CONFLICT


@transaction.atomic
def propose(
    days: Mapping[str, int], *, overlap_hours: int, stops_upstream_secrets: bool, by: Person, reason: str
) -> CredentialPolicyProposal:
    """Propose the longest age in days of each kind, and for how many hours two credentials of a client work.

    Raises Forbidden unless an admin or security approver does it, ReasonRequired, policy.OutOfBounds, AlreadyProposed.
    """
    proposals.check(by, reason, MAY)
    policy.check({Kind(kind): each for kind, each in days.items()}, overlap_hours)
    _alone()
    try:
        with transaction.atomic():
            proposal = CredentialPolicyProposal.objects.create(
                days=dict(days),
                overlap_hours=overlap_hours,
                stops_upstream_secrets=stops_upstream_secrets,
                reason=reason,
                proposed_by=by,
                proposed_at=clock.now(),
            )
    except IntegrityError as error:
        raise AlreadyProposed from error
    _record(Action.CREDENTIAL_POLICY_PROPOSED, proposal, by, reason)
    return proposal


@transaction.atomic
def confirm(proposal_id: UUID, *, by: Person, reason: str) -> CredentialPolicy:
    """Put in force what another person proposed. What works goes on for its grace.

    Raises NotFound, Forbidden, ReasonRequired, NotProposed, SecondPersonRequired, policy.OutOfBounds.
    """
    proposals.check(by, reason, MAY)
    proposal = _PROPOSALS.held(proposal_id, State.PROPOSED)
    _PROPOSALS.second(proposal, by)
    published = policy.publish(
        {Kind(kind): days for kind, days in proposal.days.items()},
        overlap_hours=proposal.overlap_hours,
        stops_upstream_secrets=proposal.stops_upstream_secrets,
        by=by.principal,
        proposed_by=str(proposal.proposed_by.principal),
        reason=reason,
    )
    _decide(proposal, State.CONFIRMED, by, number=published.number)
    return published


@transaction.atomic
def withdraw(proposal_id: UUID, *, by: Person, reason: str) -> CredentialPolicyProposal:
    """Drop what was proposed. Raises NotFound, Forbidden, ReasonRequired, NotProposed."""
    proposals.check(by, reason, MAY)
    proposal = _PROPOSALS.held(proposal_id, State.PROPOSED)
    _decide(proposal, State.WITHDRAWN, by)
    _record(Action.CREDENTIAL_POLICY_WITHDRAWN, proposal, by, reason)
    return proposal


def _decide(proposal: CredentialPolicyProposal, state: str, by: Person, *, number: int | None = None) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.number = state, by, clock.now(), number
    proposal.save(update_fields=["state", "decided_by", "decided_at", "number"])


def _alone() -> None:
    locks.exclusive((Lock.REQUEST, "credential-policy"))


def about(proposal: CredentialPolicyProposal) -> list[str]:
    """Return the links by which the record of a proposal is found again."""
    return [f"credential_policy_proposal:{proposal.pk}"]


_PROPOSALS: Final = proposals.TwoPersonProposal(
    lambda: CredentialPolicyProposal.objects.select_related("proposed_by"),
    lambda _proposal: _alone(),
    over=NotProposed,
    own=SecondPersonRequired,
    may=MAY,
    withdraw=withdraw,
)


def _record(action: Action, proposal: CredentialPolicyProposal, by: Person, reason: str) -> None:
    detail = {
        "days": proposal.days,
        "overlap_hours": proposal.overlap_hours,
        "stops_upstream_secrets": proposal.stops_upstream_secrets,
    }
    log.record(action, about=about(proposal), by=by.principal, reason=reason, detail=detail)
