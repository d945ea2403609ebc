"""How each kind of signal is answered: what is in force, and how two people agree on something else.

Loosening and tightening alike take two: a response that is carried out can stop a company's agents.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from audit.actions import Action
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.proposals.in_force import LastingKind, State, may

from .models import SignalResponse
from .rules import DEFAULTS, Kind, Mode, Policy, Response


def current(kind: str) -> Policy:
    """Return how a kind of signal is answered now."""
    row = SignalResponse.objects.filter(kind=kind, state=State.IN_FORCE).first()
    return DEFAULTS[Kind(kind)] if row is None else Policy(Response(row.response), Mode(row.mode))


@transaction.atomic
def propose(kind: str, *, response: str, mode: str, by: Person, reason: str) -> SignalResponse:
    """Propose how a kind of signal is answered, and whether that is carried out or only shown.

    Raises as LastingKind.propose. Signals that were noted before it is confirmed are not answered again.
    """
    row = SignalResponse(kind=kind, response=response, mode=mode)
    may(by, reason, KIND.proposers)
    _hold(row)
    if current(kind) == Policy(Response(response), Mode(mode)):
        raise KIND.unchanged
    return KIND.propose(row, by=by, reason=reason)


def _hold(row: SignalResponse) -> None:
    locks.exclusive((Lock.REQUEST, f"signal-response:{row.kind}"))


KIND: Final = LastingKind(
    name="signal_response",
    noun="response",
    model=SignalResponse,
    subject=("kind",),
    events={
        State.PROPOSED: Action.SIGNAL_RESPONSE_PROPOSED,
        State.IN_FORCE: Action.SIGNAL_RESPONSE_CONFIRMED,
        State.WITHDRAWN: Action.SIGNAL_RESPONSE_WITHDRAWN,
    },
    hold=_hold,
    about=lambda row: [f"signal_response:{row.pk}"],
    detail=lambda row: {"kind": row.kind, "response": row.response, "mode": row.mode},
    codes={"over": "signal_response_proposal_over"},
)
