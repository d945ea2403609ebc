"""Actions on session policies: one person proposes, another confirms; the end of one takes two as well, as it loosens.

Each changes what every session may do, so it concerns all that nodes know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from audit.actions import Action
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.proposals.in_force import CONFIRMERS, LastingKind, State, may
from entitlements.session_policies import rules
from entitlements.session_policies.models import SessionPolicy

_MOST: Final = 10
_WORD: Final = re.compile(r"[!#-\[\]-~]{1,255}")
"""What a parameter of a challenge may hold (RFC 6749 appendix A, NQCHAR)."""
_TERMS: Final = (
    *("agent_kind", "risk", "idle_seconds", "absolute_seconds", "max_age_seconds", "acr", "amr"),
    *("renews_without_sign_in", "on_drift"),
)


class PolicyMalformed(DomainError):
    """The policy is not one that can be agreed on."""

    code, status = "session_policy_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


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

    Raises PolicyMalformed with the `field` it is about, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    row = draft(name, idle=idle, absolute=absolute, max_age=max_age, **given)
    return KIND.propose(row, by=by, reason=reason)


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


def terms(row: SessionPolicy) -> dict[str, Any]:
    """Return what people agree on."""
    return {"system": row.system.slug if row.system else "", **{name: getattr(row, name) for name in _TERMS}}


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


def _hold(row: SessionPolicy) -> None:
    """Hold the name alone; where sessions may change, everything as well. A new proposal keeps no call waiting."""
    everything = [] if row._state.adding else [(Lock.EVERYTHING, subjects.EVERYTHING)]
    locks.exclusive(*everything, (Lock.REQUEST, f"session-policy:{row.name}"))


KIND: Final = LastingKind(
    name="session_policy",
    noun="policy",
    model=SessionPolicy,
    subject=("name",),
    related=("system",),
    events={
        State.PROPOSED: Action.SESSION_POLICY_PROPOSED,
        State.IN_FORCE: Action.SESSION_POLICY_CONFIRMED,
        State.WITHDRAWN: Action.SESSION_POLICY_WITHDRAWN,
        State.ENDED: Action.SESSION_POLICY_ENDED,
    },
    hold=_hold,
    about=lambda row: [f"session_policy:{row.name}"],
    detail=lambda row: {"proposed_by": row.proposed_by.login, **terms(row)},
    terms=terms,
    follow=lambda _row, _by: changes.note(subjects.ALL),
    enders=CONFIRMERS,
    ends_with_two=True,
)
