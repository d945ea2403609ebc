"""The actions on guardrails: one person proposes a version or the end of one, another confirms, or it is withdrawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.api.fields import duration
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.guardrails import guardrails
from entitlements.guardrails.models import GuardrailVersion
from entitlements.guardrails.terms import GuardrailMalformed
from entitlements.people.models import Person, Role
from governance.guardrails.models import GuardrailProposal
from governance.proposals import proposals
from governance.what_if import what_if

MAY: Final = (Role.ADMIN, Role.SECURITY)
"""Who proposes and confirms rules over every grant."""
NO_REASON: Final = "No reason was given."
State = GuardrailProposal.State
Mode, Effect = GuardrailVersion.Mode, GuardrailVersion.Effect
_TERMS: Final = ("key", "name", "effect", "mode", "conditions", "max_age", "acr")


class SecondPersonRequired(DomainError):
    """You cannot confirm this guardrail because you proposed it. Another admin or security approver confirms it."""

    code, status = "second_person_required", HTTPStatus.FORBIDDEN


class AlreadyProposed(DomainError):
    """A change of this guardrail waits already. Confirm or withdraw that one first."""

    code, status = "guardrail_proposed_already", HTTPStatus.CONFLICT


class NothingChanges(DomainError):
    """The guardrail is in force with exactly these terms already."""

    code, status = "guardrail_unchanged", HTTPStatus.CONFLICT


class GuardrailOver(DomainError):
    """The guardrail is not in the state that this needs: it was confirmed, replaced or withdrawn before."""

    code, status = "guardrail_over", HTTPStatus.CONFLICT


class NotReplayed(DomainError):
    """You cannot confirm this guardrail yet: replay it over recorded calls first, or say why not."""

    code, status = "guardrail_not_replayed", HTTPStatus.CONFLICT


@transaction.atomic
def propose(
    name: str,
    *,
    effect: str,
    mode: str,
    when: Mapping[str, Any],
    max_age: timedelta | None = None,
    acr: Collection[str] = (),
    by: Person,
    reason: str = "",
) -> GuardrailProposal:
    """Propose a guardrail, or other terms for the one of this name. `max_age` and `acr` are for a step-up.

    Raises Forbidden, GuardrailMalformed, NothingChanges, AlreadyProposed.
    """
    if mode == Mode.OFF:
        raise GuardrailMalformed("Propose the end of a guardrail instead of this mode.", part="mode")
    terms = {**guardrails.terms(name, effect, when, max_age, acr), "mode": mode}
    return _propose(terms, by, reason)


@transaction.atomic
def propose_end(key: UUID, *, by: Person, reason: str) -> GuardrailProposal:
    """Propose that a guardrail ends. It loosens, so another person confirms it too.

    Raises Forbidden, ReasonRequired, NotFound, GuardrailOver, AlreadyProposed.
    """
    proposals.check(by, reason, MAY)
    row = _PROPOSALS.held(key, State.IN_FORCE)
    if row.mode == Mode.OFF:
        raise GuardrailOver(state="ended")
    return _propose({**_terms(row), "mode": Mode.OFF.value}, by, reason)


def _propose(terms: dict[str, Any], by: Person, reason: str) -> GuardrailProposal:
    proposals.check(by, reason := reason.strip() or NO_REASON, MAY)
    _alone(terms["key"])
    current = in_force(terms["key"])
    if current is not None and _terms(current) == terms:
        raise NothingChanges
    try:
        with transaction.atomic():
            row = GuardrailProposal.objects.create(**terms, reason=reason, proposed_by=by, proposed_at=clock.now())
    except IntegrityError as error:
        raise AlreadyProposed from error
    record(Action.GUARDRAIL_PROPOSED, row, by, reason)
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person, reason: str = "") -> GuardrailProposal:
    """Put in force what another person proposed; every node knows within two seconds.

    What is to be enforced was replayed over recorded calls before, unless the person says why not. Raises NotFound,
    Forbidden, GuardrailOver, SecondPersonRequired, NotReplayed, GuardrailMalformed.
    """
    proposals.check(by, reason.strip() or NO_REASON, MAY)
    row = _PROPOSALS.held(key, State.PROPOSED)
    _PROPOSALS.second(row, by)
    if row.mode == Mode.ENFORCE and not row.is_replayed and not reason.strip():
        raise NotReplayed
    if row.mode != Mode.OFF:
        guardrails.check(row.conditions)
    made = guardrails.publish(
        row.pk,
        _terms(row),
        by=by.principal,
        proposed_by=row.proposed_by.principal,
        reason=reason.strip() or row.reason,
        detail=_replayed(row),
    )
    GuardrailProposal.objects.filter(key=row.key, state=State.IN_FORCE).update(state=State.REPLACED)
    row.state, row.decided_by, row.decided_at, row.version = State.IN_FORCE, by, made.made_at, made.position
    row.save(update_fields=["state", "decided_by", "decided_at", "version"])
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> GuardrailProposal:
    """Drop what was proposed. Raises NotFound, Forbidden, ReasonRequired, GuardrailOver."""
    proposals.check(by, reason, MAY)
    row = _PROPOSALS.held(key, State.PROPOSED)
    row.state, row.decided_by, row.decided_at = State.WITHDRAWN, by, clock.now()
    row.save(update_fields=["state", "decided_by", "decided_at"])
    record(Action.GUARDRAIL_WITHDRAWN, row, by, reason)
    return row


@transaction.atomic
def ask_replay(key: UUID, *, days: int = 7, by: Person) -> GuardrailProposal:
    """Have what was proposed replayed over the calls of the last days, by the worker. Asked again, it begins again.

    Raises NotFound, Forbidden, GuardrailOver, TooManyWaiting.
    """
    proposals.check(by, NO_REASON, MAY)
    row = _PROPOSALS.held(key, State.PROPOSED)
    row.what_if = what_if.keep(change(row), days, by=by)
    row.save(update_fields=["what_if"])
    detail = {"days": days, "what_if": str(row.what_if.pk)}
    log.record(Action.GUARDRAIL_REPLAYED, about=about(row), by=by.principal, detail=detail)
    return row


def in_force(key: str) -> GuardrailProposal | None:
    """Return the version of a guardrail that is in force, if one is; one of the mode `off` says that it has ended."""
    return GuardrailProposal.objects.filter(key=key, state=State.IN_FORCE).first()


def about(row: GuardrailProposal) -> list[str]:
    """Return the links by which the record of a guardrail is found again."""
    return [f"guardrail:{row.key}"]


def record(action: Action, row: GuardrailProposal, by: Person, reason: str) -> None:
    """Record what a person did about a proposal."""
    log.record(action, about=about(row), by=by.principal, reason=reason, detail={**_terms(row), "id": str(row.pk)})


def change(row: GuardrailProposal) -> dict[str, Any]:
    """Return a version as a change that can be replayed."""
    terms = {"kind": "guardrail", "name": row.name, "effect": row.effect, "when": row.conditions}
    if row.acr:
        terms["acr"] = row.acr
    return terms if row.max_age is None else {**terms, "max_age": duration(timedelta(seconds=row.max_age))}


def _replayed(row: GuardrailProposal) -> dict[str, Any]:
    """Return what the record says of a replay."""
    if (found := row.what_if) is None:
        return {"replay": "none"}
    counts = {"calls": found.figure("calls"), "changed": found.figure("denied"), "unknown": found.figure("unknown")}
    return {"replay": found.state, "what_if": str(found.pk), **counts}


def _terms(row: GuardrailProposal) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _TERMS}


def _alone(key: str) -> None:
    locks.exclusive((Lock.REQUEST, f"guardrail:{key}"))


_PROPOSALS: Final = proposals.TwoPersonProposal(
    lambda: GuardrailProposal.objects.select_related("proposed_by", "what_if"),
    lambda row: _alone(row.key),
    over=GuardrailOver,
    own=SecondPersonRequired,
    may=MAY,
    withdraw=withdraw,
)
