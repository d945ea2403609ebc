"""Actions on session policies: one person proposes, another confirms; the end of one takes two as well.

Each changes what every session may do, so it concerns all that nodes know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.catalog.models import System
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from entitlements.session_policies import rules
from entitlements.session_policies.models import SessionPolicy

PROPOSE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
CONFIRM: Final = (Role.ADMIN, Role.SECURITY)
_MOST: Final = 10
_WORD: Final = re.compile(r"[!#-\[\]-~]{1,255}")
"""What a parameter of a challenge may hold (RFC 6749 appendix A, NQCHAR)."""
_TERMS: Final = (
    *("agent_kind", "risk", "idle_seconds", "absolute_seconds", "max_age_seconds", "acr", "amr"),
    *("renews_without_sign_in", "on_drift"),
)
_State = SessionPolicy.State


class AlreadyProposed(DomainError):
    """A proposal of this policy waits already. Confirm or withdraw that first."""

    code, status = "session_policy_proposed_already", HTTPStatus.CONFLICT


class NothingChanges(DomainError):
    """The policy is in force with exactly these terms already."""

    code, status = "session_policy_unchanged", HTTPStatus.CONFLICT


class ProposalOver(DomainError):
    """The policy is not in the state that this needs: it was confirmed, replaced, withdrawn or ended before."""

    code, status = "session_policy_over", HTTPStatus.CONFLICT


class SecondPersonRequired(Forbidden):
    """You proposed this policy, so another person confirms it."""

    code = "session_policy_proposed_by_own_account"


class PolicyMalformed(DomainError):
    """The policy is not one that can be agreed on."""

    code, status = "session_policy_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def propose(
    name: str,
    *,
    by: Person,
    reason: str,
    idle: timedelta,
    absolute: timedelta,
    max_age: timedelta | None = None,
    **given: Any,  # noqa: ANN401 - the other fields of the policy
) -> SessionPolicy:
    """Propose a policy, or other terms for one in force; `system` is a slug, and what is empty matches all.

    Raises Forbidden, ReasonRequired, PolicyMalformed with the `field` it is about, NothingChanges, AlreadyProposed.
    """
    _check(by, reason, PROPOSE)
    row = draft(name, idle=idle, absolute=absolute, max_age=max_age, **given)
    row.reason, row.proposed_by, row.proposed_at = reason, by, clock.now()
    locks.exclusive((Lock.REQUEST, _lock_name(name)))
    known = SessionPolicy.objects.select_related("system").filter(name=name, state=_State.IN_FORCE).first()
    if known is not None and terms(known) == terms(row):
        raise NothingChanges
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyProposed from error
    _record(Action.SESSION_POLICY_PROPOSED, row, by, reason)
    return row


def draft(
    name: str,
    *,
    idle: timedelta,
    absolute: timedelta,
    max_age: timedelta | None = None,
    **given: Any,  # noqa: ANN401 - the other fields of the policy
) -> SessionPolicy:
    """Return a policy with these terms, which is not kept. Raises PolicyMalformed with the `field` it is about."""
    row = SessionPolicy(
        name=name,
        agent_kind=given.get("agent_kind", ""),
        system=_system(given.get("system", "")),
        risk=given.get("risk", ""),
        idle_seconds=int(idle.total_seconds()),
        absolute_seconds=int(absolute.total_seconds()),
        max_age_seconds=None if max_age is None else int(max_age.total_seconds()),
        acr=_words("acr", given.get("acr", ())),
        amr=_words("amr", given.get("amr", ())),
        renews_without_sign_in=given.get("renews_without_sign_in", False),
        on_drift=given.get("on_drift", ""),
    )
    _check_terms(row)
    return row


@transaction.atomic
def confirm(key: UUID, *, by: Person) -> SessionPolicy:
    """Put a policy in force, as a second person: living sessions are held to it within two seconds.

    Raises NotFound, ProposalOver, Forbidden, SecondPersonRequired.
    """
    row = _held(key, _State.PROPOSED)
    if not by.has_role(*CONFIRM):
        raise Forbidden
    lapse = partial(withdraw, key)
    independence.check_second(
        row.proposed_by, by, still_may=lambda who: who.has_role(*PROPOSE), own=SecondPersonRequired, lapse=lapse
    )
    now = clock.now()
    before = SessionPolicy.objects.filter(name=row.name, state=_State.IN_FORCE)
    before.update(state=_State.REPLACED, ended_at=now, end_reason=f"Replaced by the proposal {row.pk}.")
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, now
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    _record(Action.SESSION_POLICY_CONFIRMED, row, by, row.reason)
    changes.note(subjects.ALL)
    return row


@transaction.atomic
def withdraw(key: UUID, *, by: Person, reason: str) -> SessionPolicy:
    """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, ProposalOver."""
    _check(by, reason, PROPOSE)
    row = _held(key, _State.PROPOSED)
    _end(row, _State.WITHDRAWN, reason)
    _record(Action.SESSION_POLICY_WITHDRAWN, row, by, reason)
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> SessionPolicy:
    """Take a policy out of force. It lets sessions go on, so a second person does it, not the one who proposed it.

    Raises Forbidden, ReasonRequired, NotFound, ProposalOver, SecondPersonRequired.
    """
    _check(by, reason, CONFIRM)
    row = _held(key, _State.IN_FORCE)
    if independence.same_human(row.proposed_by, by):
        raise SecondPersonRequired
    _end(row, _State.ENDED, reason)
    _record(Action.SESSION_POLICY_ENDED, row, by, reason)
    changes.note(subjects.ALL)
    return row


def about(row: SessionPolicy) -> list[str]:
    """Return the links by which the record of a policy is found again."""
    return [f"session_policy:{row.name}"]


def terms(row: SessionPolicy) -> dict[str, Any]:
    """Return what people agree on."""
    return {"system": row.system.slug if row.system else "", **{name: getattr(row, name) for name in _TERMS}}


def _check(by: Person, reason: str, roles: tuple[str, ...]) -> None:
    if not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _system(slug: str) -> System | None:
    if not slug:
        return None
    found = System.objects.filter(slug=slug).first()
    if found is None:
        raise PolicyMalformed("There is no such system.", field="system")
    return found


def _words(field: str, given: Sequence[str]) -> list[str]:
    words = list(dict.fromkeys(given))
    if len(words) > _MOST or not all(_WORD.fullmatch(word) for word in words):
        raise PolicyMalformed(f"At most {_MOST} values, each without spaces and quotes.", field=field)
    return words


def _check_terms(row: SessionPolicy) -> None:
    if not rules.SHORTEST_IDLE <= row.idle_seconds <= rules.IDLE:
        raise PolicyMalformed("A session may be idle for 5 minutes to 1 hour.", field="idle")
    if not row.idle_seconds <= row.absolute_seconds <= rules.ABSOLUTE:
        raise PolicyMalformed("A session lasts 12 hours at most, and no less than it may be idle.", field="absolute")
    if row.max_age_seconds is not None and not rules.SHORTEST_MAX_AGE <= row.max_age_seconds <= rules.LONGEST_MAX_AGE:
        raise PolicyMalformed("A sign-in may be 5 minutes to 30 days old at most.", field="max_age")


def _lock_name(name: str) -> str:
    return f"session-policy:{name}"


def _held(key: UUID, state: str) -> SessionPolicy:
    seen = SessionPolicy.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    locks.exclusive((Lock.EVERYTHING, subjects.EVERYTHING), (Lock.REQUEST, _lock_name(seen.name)))
    row = SessionPolicy.objects.select_related("proposed_by", "system").get(pk=key)
    if row.state != state:
        raise ProposalOver(state=row.state)
    return row


def _end(row: SessionPolicy, state: str, reason: str) -> None:
    row.state, row.ended_at, row.end_reason = state, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])


def _record(action: Action, row: SessionPolicy, by: Person, reason: str) -> None:
    detail = {"proposed_by": row.proposed_by.login, **terms(row)}
    log.record(action, about=about(row), by=by.principal, reason=reason, detail=detail)
