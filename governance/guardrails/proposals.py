"""The actions on guardrails: one person proposes a version or the end of one, another confirms, or it is withdrawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import log
from audit.actions import Action
from entitlements.api.fields import duration
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.guardrails import guardrails
from entitlements.guardrails.models import GuardrailVersion
from entitlements.guardrails.terms import GuardrailMalformed
from entitlements.people.models import Person
from entitlements.proposals.in_force import CONFIRMERS, LastingKind, State, may
from governance.guardrails.models import GuardrailProposal
from governance.what_if import what_if

NO_REASON: Final = "No reason was given."
Mode = GuardrailVersion.Mode
_TERMS: Final = ("key", "name", "effect", "mode", "conditions", "max_age", "acr")


class NotReplayed(DomainError):
    """You cannot confirm this guardrail yet: replay it over recorded calls first, or say why not."""

    code, status = "guardrail_not_replayed", HTTPStatus.CONFLICT


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

    Raises GuardrailMalformed, and as LastingKind.propose.
    """
    if mode == Mode.OFF:
        raise GuardrailMalformed("Propose the end of a guardrail instead of this mode.", part="mode")
    row = GuardrailProposal(**guardrails.terms(name, effect, when, max_age, acr), mode=mode)
    return KIND.propose(row, by=by, reason=reason.strip() or NO_REASON)


@transaction.atomic
def propose_end(key: UUID, *, by: Person, reason: str) -> GuardrailProposal:
    """Propose that a guardrail ends. It loosens, so another person confirms it too.

    Raises NotFound, KIND.over, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    row = KIND.held(key, State.IN_FORCE)
    if row.mode == Mode.OFF:
        raise KIND.over(state="ended")
    return KIND.propose(GuardrailProposal(**{**_terms(row), "mode": Mode.OFF.value}), by=by, reason=reason)


def _publish(row: GuardrailProposal, by: Person, reason: str) -> Mapping[str, Any]:
    """Make it the next version; every node knows within two seconds.

    What is to be enforced was replayed over recorded calls before, unless the person says why not. Raises NotReplayed,
    GuardrailMalformed.
    """
    if row.mode == Mode.ENFORCE and not row.is_replayed and not reason:
        raise NotReplayed
    if row.mode != Mode.OFF:
        guardrails.check(row.conditions)
    made = guardrails.publish(
        row.pk,
        _terms(row),
        by=by.principal,
        proposed_by=row.proposed_by.principal,
        reason=reason or row.reason,
        detail=_replayed(row),
    )
    return {"version": made.position}


@transaction.atomic
def ask_replay(key: UUID, *, days: int = 7, by: Person) -> GuardrailProposal:
    """Have what was proposed replayed over the calls of the last days, by the worker. Asked again, it begins again.

    Raises NotFound, Forbidden, KIND.over, TooManyWaiting.
    """
    may(by, NO_REASON, KIND.proposers)
    row = KIND.held(key, State.PROPOSED)
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


KIND: Final = LastingKind(
    name="guardrail",
    noun="guardrail",
    model=GuardrailProposal,
    subject=("key",),
    related=("what_if",),
    events={State.PROPOSED: Action.GUARDRAIL_PROPOSED, State.WITHDRAWN: Action.GUARDRAIL_WITHDRAWN},
    hold=lambda row: locks.exclusive((Lock.REQUEST, f"guardrail:{row.key}")),
    about=about,
    detail=lambda row: {**_terms(row), "id": str(row.pk)},
    terms=_terms,
    result=_publish,
    proposers=CONFIRMERS,
)
