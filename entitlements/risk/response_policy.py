"""How each kind of signal is answered: what is in force, and how two people agree on something else.

Loosening and tightening alike take two: a response that is carried out can stop a company's agents.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role

from .models import SignalResponse
from .rules import DEFAULTS, Kind, Mode, Policy, Response

PROPOSE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
CONFIRM: Final = (Role.ADMIN, Role.SECURITY)
"""Who may: what is carried out can stop agents and people, so those confirm who answer for that."""
_State = SignalResponse.State


class ResponseProposedAlready(DomainError):
    """Another response to this kind of signal waits already. Confirm or withdraw that one first."""

    code, status = "signal_response_proposed_already", HTTPStatus.CONFLICT


class ResponseUnchanged(DomainError):
    """Signals of this kind are answered so already."""

    code, status = "signal_response_unchanged", HTTPStatus.CONFLICT


class ResponseProposalOver(DomainError):
    """The proposal was confirmed or withdrawn before. Propose it again."""

    code, status = "signal_response_proposal_over", HTTPStatus.CONFLICT


class ResponseProposedByOwnAccount(Forbidden):
    """You proposed this response, so another person confirms it."""

    code = "signal_response_proposed_by_own_account"


def current(kind: str) -> Policy:
    """Return how a kind of signal is answered now."""
    row = SignalResponse.objects.filter(kind=kind, state=_State.IN_FORCE).first()
    return DEFAULTS[Kind(kind)] if row is None else Policy(Response(row.response), Mode(row.mode))


@transaction.atomic
def propose(kind: str, *, response: str, mode: str, by: Person, reason: str) -> SignalResponse:
    """Propose how a kind of signal is answered, and whether that is carried out or only shown.

    Raises Forbidden, ReasonRequired, ResponseUnchanged, ResponseProposedAlready.
    """
    _check(by, reason)
    _hold(kind)
    if current(kind) == Policy(Response(response), Mode(mode)):
        raise ResponseUnchanged
    try:
        with transaction.atomic():
            row = SignalResponse.objects.create(
                kind=kind, response=response, mode=mode, reason=reason, proposed_by=by, proposed_at=clock.now()
            )
    except IntegrityError as error:
        raise ResponseProposedAlready from error
    _record(Action.SIGNAL_RESPONSE_PROPOSED, row, by, reason)
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person) -> SignalResponse:
    """Put a proposal in force, as a second person. Signals that were noted before are not answered again.

    Raises Forbidden, NotFound, ResponseProposalOver, ResponseProposedByOwnAccount.
    """
    if not by.has_role(*CONFIRM):
        raise Forbidden
    row = _held(key)
    lapse = partial(withdraw, key)
    independence.check_second(
        row.proposed_by, by, still_may=lambda who: who.has_role(*PROPOSE), own=ResponseProposedByOwnAccount, lapse=lapse
    )
    now = clock.now()
    before = SignalResponse.objects.filter(kind=row.kind, state=_State.IN_FORCE)
    before.update(state=_State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, now
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    _record(Action.SIGNAL_RESPONSE_CONFIRMED, row, by, row.reason)
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> SignalResponse:
    """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, ResponseProposalOver."""
    _check(by, reason)
    row = _held(key)
    row.state, row.ended_at, row.end_reason = _State.WITHDRAWN, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])
    _record(Action.SIGNAL_RESPONSE_WITHDRAWN, row, by, reason)
    return row


def about(row: SignalResponse) -> list[str]:
    """Return the links by which the record of a proposal is found again."""
    return [f"signal_response:{row.pk}"]


def _check(by: Person, reason: str) -> None:
    if not by.has_role(*PROPOSE):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _hold(kind: str) -> None:
    locks.exclusive((Lock.REQUEST, f"signal-response:{kind}"))


def _held(key: UUID) -> SignalResponse:
    seen = SignalResponse.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    _hold(seen.kind)
    row = SignalResponse.objects.select_related("proposed_by").get(pk=key)
    if row.state != _State.PROPOSED:
        raise ResponseProposalOver(state=row.state)
    return row


def _record(action: Action, row: SignalResponse, by: Person, reason: str) -> None:
    detail = {"kind": row.kind, "response": row.response, "mode": row.mode}
    log.record(action, about=about(row), by=by.principal, reason=reason, detail=detail)
