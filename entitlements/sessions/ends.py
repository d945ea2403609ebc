"""When a session ends and by which term: its own limits, and each session policy that can apply to it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q

from entitlements.session_policies import rules
from entitlements.session_policies.models import SessionPolicy
from entitlements.session_policies.rules import Policy, SignedIn, Term
from entitlements.words import Risk

from .models import Session


@dataclass(frozen=True, slots=True)
class Ending:
    """When a session is over, or its sign-in too old, and by which term; `policy` is empty for its own limits."""

    at: datetime
    term: Term
    policy: str = ""


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A policy in force that can apply to a session.

    `risk` is the level of a tool from which it applies, None where it applies to every call. `asks` says what the
    session falls short of, empty where it meets the policy.
    """

    row: SessionPolicy
    risk: Risk | None
    asks: str
    ending: Ending


def level(session: Session) -> Risk:
    """Return the risk level of a session: the highest of its own, its agent's and its person's."""
    person = [session.person.risk_level] if session.person is not None else []
    return max(map(Risk, (session.risk, session.agent.risk_level, *person)), key=lambda each: each.rank)


def applied(session: Session, systems: Collection[str], now: datetime) -> list[AppliedPolicy]:
    """Return the policies that can apply to a session whose tokens are for some systems, those for every call first.

    An agent that acts for no person has no sign-in that a policy could look at.
    """
    if session.person is None:
        return []
    rows = SessionPolicy.objects.filter(state=SessionPolicy.State.IN_FORCE, agent_kind__in=["", session.agent.kind])
    rows = rows.filter(Q(system=None) | Q(system__slug__in=systems)).select_related("system")
    found = [_applied(session, row, now) for row in rows.order_by("name")]
    return sorted(found, key=lambda each: each.risk.rank if each.risk else -1)


def first(session: Session, policies: Sequence[AppliedPolicy]) -> Ending:
    """Return what ends a session first: its own limits, or a policy that applies to every call."""
    idle = Ending(_moment(session.last_used_at.timestamp() + session.idle_seconds), Term.IDLE)
    endings = [Ending(session.expires_at, Term.ABSOLUTE), idle]
    endings += [each.ending for each in policies if each.risk is None]
    return min(endings, key=lambda each: each.at)


def _applied(session: Session, row: SessionPolicy, now: datetime) -> AppliedPolicy:
    least = Risk(row.risk or Risk.LOW)
    terms = rules.combined([policy_of(row)])
    assert terms is not None  # noqa: S101 - for the type checker: there is one
    signed_in = _signed_in(session)
    began, used = session.started_at.timestamp(), session.last_used_at.timestamp()
    short = rules.shortfall(terms, signed_in, began, used, now.timestamp())
    moments = {
        Term.ABSOLUTE: began + terms.absolute,
        Term.IDLE: used + terms.idle,
        Term.MAX_AGE: signed_in.at + terms.max_age if math.isfinite(signed_in.at) else math.inf,
    }
    term = min(moments, key=lambda each: moments[each])
    risk = None if least.rank <= level(session).rank else least
    return AppliedPolicy(
        row, risk, short.sentence if short is not None else "", Ending(_moment(moments[term]), term, row.name)
    )


def policy_of(row: SessionPolicy) -> Policy:
    """Return a stored policy as the rules take it."""
    return Policy(
        row.name,
        Risk(row.risk or Risk.LOW),
        float(row.idle_seconds),
        float(row.absolute_seconds),
        math.inf if row.max_age_seconds is None else float(row.max_age_seconds),
        tuple(row.acr),
        frozenset(row.amr),
        row.renews_without_sign_in,
    )


def _signed_in(session: Session) -> SignedIn:
    at = -math.inf if session.signed_in_at is None else session.signed_in_at.timestamp()
    return SignedIn(at, session.acr, frozenset(session.amr.split()))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
