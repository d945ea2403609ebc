"""Actions on SoD policies: one person proposes a version, another publishes it, or it is withdrawn."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from audit.actions import Action
from entitlements.people.models import Person, Role
from entitlements.proposals.in_force import LastingKind, State, may
from governance.sod.models import SodPolicy

from . import check
from . import rules as sod_rules

MAY: Final = (Role.ANALYST, Role.SECURITY)
"""Who proposes and publishes rules."""


@transaction.atomic
def propose(
    name: str, *, sentence: str, sides: list[dict[str, Any]], on: bool = True, by: Person, reason: str
) -> SodPolicy:
    """Propose the first or next version of a rule; it has no effect until another person publishes it.

    Raises rules.SidesMalformed, and as LastingKind.propose.
    """
    may(by, reason, MAY)
    sod_rules.read(sides)
    check.lock_policies()
    last = SodPolicy.objects.filter(name=name).order_by("-number").first()
    number = last.number + 1 if last else 1
    row = SodPolicy(name=name, number=number, sentence=sentence, sides=sides, on=on)
    return KIND.propose(row, by=by, reason=reason)


KIND: Final = LastingKind(
    name="sod_policy",
    noun="SoD policy",
    model=SodPolicy,
    subject=("name",),
    events={
        State.PROPOSED: Action.SOD_POLICY_PROPOSED,
        State.IN_FORCE: Action.SOD_POLICY_PUBLISHED,
        State.WITHDRAWN: Action.SOD_POLICY_WITHDRAWN,
    },
    hold=lambda _row: check.lock_policies(),
    about=lambda row: [f"sod_policy:{row.name}"],
    detail=lambda row: {"number": row.number, "sentence": row.sentence, "sides": row.sides, "on": row.on},
    proposers=MAY,
    confirmers=MAY,
    confirm_needs_reason=True,
    codes={"unchanged": ""},
)
"""What violates a version when it is published shows as a finding."""
