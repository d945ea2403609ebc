"""Who would have to sign in again at the next use, if a policy came into force now.

The same terms as `rules`, as conditions of the database: the sessions that are open and fall short, and the sign-ins
that last beyond their session.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet, TextField, Value

from entitlements.authentication import OWN
from entitlements.grants.models import GrantLine
from entitlements.people.models import Person
from entitlements.session_policies import rules
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions.models import Session, is_open
from entitlements.token_families.models import TokenFamily
from entitlements.words import Risk

_METHODS: Final = Func(F("amr"), Value(" "), function="string_to_array", output_field=ArrayField(TextField()))
_MFA: Final = "mfa"


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom a policy would ask: the open sessions, the sign-ins that last without one, and the people of both."""

    sessions: QuerySet[Session]
    sign_ins: QuerySet[TokenFamily]
    people: QuerySet[Person]


def of(policy: SessionPolicy, now: datetime) -> Preview:
    """Return whom a policy would ask now."""
    sessions = applying(policy, _open_sessions(now)).filter(_over(policy, now) | _short(policy, now, "signed_in_at"))
    families = TokenFamily.objects.filter(ended_at=None, expires_at__gt=now, last_used_at__gt=now - timedelta(days=14))
    running = _open_sessions(now).filter(client=OuterRef("client"), person=OuterRef("person"), agent=OuterRef("agent"))
    lasting = families.annotate(ways=_METHODS).filter(~Exists(running))
    if policy.renews_without_sign_in:
        lasting = lasting.filter(_short(policy, now, "auth_time"))
    sign_ins = applying(policy, lasting.exclude(agent=None))
    asked = Q(pk__in=sessions.values("person")) | Q(pk__in=sign_ins.values("person"))
    return Preview(sessions, sign_ins, Person.objects.filter(asked))


def _open_sessions(now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(is_open(now)).exclude(person=None).annotate(ways=_METHODS)


def applying(policy: SessionPolicy, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Narrow sessions or sign-ins to those that a policy is about: its kind of agent, its system, its risk level."""
    if policy.agent_kind:
        rows = rows.filter(agent__kind=policy.agent_kind)
    held, levels = _lines(policy.system_id), at_least(policy.risk)
    risky = Exists(held.filter(tool__risk__in=levels))
    if policy.risk in ("", Risk.LOW):
        return rows.filter(risky) if policy.system_id else rows
    if rows.model is Session:
        at_system = Exists(held) if policy.system_id else Q()
        return rows.filter(risky | (Q(risk__in=levels) & at_system))
    return rows.filter(risky)


def _lines(system: int | None) -> QuerySet[GrantLine]:
    """Return the tools that a session's agent holds for its person, at a system or at any."""
    of_agent = GrantLine.objects.filter(grant__agent=OuterRef("agent"), grant__ended_at=None)
    person = OuterRef("person")
    theirs = Q(grant__subjects__person=person) | Q(grant__subjects__group__memberships__person=person)
    return of_agent.filter(theirs) if system is None else of_agent.filter(theirs, tool__system=system)


def _over(policy: SessionPolicy, now: datetime) -> Q:
    return Q(started_at__lte=now - timedelta(seconds=policy.absolute_seconds)) | Q(
        last_used_at__lte=now - timedelta(seconds=policy.idle_seconds)
    )


def _short(policy: SessionPolicy, now: datetime, signed_in: str) -> Q:
    """Return what sessions or sign-ins meet whose sign-in is too old, unknown, or not strong enough."""
    short = Q(pk__in=())
    if policy.max_age_seconds is not None:
        oldest = now - timedelta(seconds=policy.max_age_seconds)
        short |= Q(**{signed_in: None}) | Q(**{f"{signed_in}__lt": oldest})
    if policy.acr:
        short |= ~(Q(acr__in=_covering(policy.acr)) | _by_methods(policy.acr))
    if policy.amr:
        short |= ~Q(ways__contains=policy.amr)
    return short


def _covering(acr: Iterable[str]) -> list[str]:
    asked = [*acr]
    return [each for each in dict.fromkeys([*OWN, *asked]) if rules.covers(each, frozenset(), asked)]


def _by_methods(acr: Iterable[str]) -> Q:
    """Return those whose methods meet a context that is asked for."""
    meets = rules.covers("", frozenset({_MFA}), [*acr])
    return Q(ways__contains=[_MFA]) if meets else Q(pk__in=())


def at_least(risk: str) -> list[str]:
    """Return a risk level and those above it."""
    return [level.value for level in Risk if level.rank >= Risk(risk or Risk.LOW).rank]
