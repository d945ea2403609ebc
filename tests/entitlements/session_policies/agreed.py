"""Session policies in force, as two people put them there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from entitlements.people.models import Person, Role
from entitlements.session_policies import proposals
from entitlements.session_policies.models import SessionPolicy
from tests import make


def in_force(name: str = "strict", **terms: Any) -> SessionPolicy:  # noqa: ANN401 - the terms of the policy
    """Propose and confirm a policy; idle an hour and absolute twelve, where `terms` say nothing else."""
    proposed = propose(name, by=_one("petra"), **terms)
    return proposals.KIND.confirm(proposed.pk, by=_one("carl"))


def propose(name: str = "strict", *, by: Person, **terms: Any) -> SessionPolicy:  # noqa: ANN401 - as above
    """Propose one alone."""
    usual = {"idle": timedelta(hours=1), "absolute": timedelta(hours=12), "reason": "risk has changed"}
    return proposals.propose(name, by=by, **{**usual, **terms})


def _one(login: str) -> Person:
    return Person.objects.filter(login=login).first() or make.person(login, roles=[Role.SECURITY])


def one_of_each() -> SessionPolicy:
    """Have one in force, and another proposed, which is returned."""
    in_force("old")
    _one("edda")
    return propose(by=_one("petra"))


def confirm_waiting() -> None:
    """Confirm the one that is proposed."""
    proposals.KIND.confirm(SessionPolicy.objects.get(state="proposed").pk, by=_one("carl"))


def end() -> None:
    """End each that is in force."""
    for row in SessionPolicy.objects.filter(state="in_force"):
        proposals.KIND.end(row.pk, by=_one("edda"), reason="over")
