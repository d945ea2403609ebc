"""The actions on the credential policy: one person proposes, another confirms, or it is withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from audit.actions import Action
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import Kind
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.proposals.in_force import CONFIRMERS, LastingKind, State, may
from governance.credential_policy.models import CredentialPolicyProposal


def propose(
    days: Mapping[str, int], *, overlap_hours: int, stops_upstream_secrets: bool, by: Person, reason: str
) -> CredentialPolicyProposal:
    """Propose the longest age in days of each kind, and for how many hours two credentials of a client work.

    Raises policy.OutOfBounds, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    policy.check({Kind(kind): each for kind, each in days.items()}, overlap_hours)
    row = CredentialPolicyProposal(
        days=dict(days), overlap_hours=overlap_hours, stops_upstream_secrets=stops_upstream_secrets
    )
    return KIND.propose(row, by=by, reason=reason)


def _publish(row: CredentialPolicyProposal, by: Person, reason: str) -> Mapping[str, Any]:
    """Make it the policy of now. What works goes on for its grace. Raises policy.OutOfBounds."""
    published = policy.publish(
        {Kind(kind): days for kind, days in row.days.items()},
        overlap_hours=row.overlap_hours,
        stops_upstream_secrets=row.stops_upstream_secrets,
        by=by.principal,
        proposed_by=str(row.proposed_by.principal),
        reason=reason,
    )
    return {"number": published.number}


KIND: Final = LastingKind(
    name="credential_policy",
    noun="credential policy",
    model=CredentialPolicyProposal,
    subject=(),
    events={State.PROPOSED: Action.CREDENTIAL_POLICY_PROPOSED, State.WITHDRAWN: Action.CREDENTIAL_POLICY_WITHDRAWN},
    hold=lambda _row: locks.exclusive((Lock.REQUEST, "credential-policy")),
    about=lambda row: [f"credential_policy_proposal:{row.pk}"],
    detail=lambda row: {
        "days": row.days,
        "overlap_hours": row.overlap_hours,
        "stops_upstream_secrets": row.stops_upstream_secrets,
    },
    result=_publish,
    proposers=CONFIRMERS,
    confirm_needs_reason=True,
    codes={"unchanged": ""},
)
