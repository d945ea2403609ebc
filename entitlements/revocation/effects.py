"""What a stop would reach, counted before it: what ends, how much it is in use, and who and what depends on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.decisions.guardrails import EVERYTHING
from entitlements.delegation.models import DelegationPermission
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Membership, Person
from entitlements.revocation.targets import PERSON_AGENTS, SIGN_INS, Target, agents_of
from entitlements.sessions.models import Session
from entitlements.token_families import person_sign_ins
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens.models import IssuedToken, TokenGrant

HOUR: Final = timedelta(hours=1)
MOST_CALLS: Final = 10_000
"""So many calls are counted. Of more, the rate of the latest ones is said, so that a busy fleet costs no long count."""
_NONE: Final = Q(pk__in=[])
_ALL: Final = Q(pk__isnull=False)


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a target concerns, as conditions on each kind of row, and the links of its calls (all of which fit)."""

    grants: Q = _NONE
    sessions: Q = _NONE
    tokens: Q = _NONE
    families: Q = _NONE
    agents: Q = _NONE
    accounts: Q = _NONE
    calls: Q = _NONE


def count_effects(kind: str, thing: Any, key: str = "") -> dict[str, int]:  # noqa: ANN401 - any row that can be stopped
    """Count what a stop of this target takes away, and what leans on it: `count_held`, and the calls an hour."""
    calls = calls_per_hour(_REACH[kind](thing, key).calls, clock.now())
    return {**count_held(kind, thing, key), "calls_per_hour": calls}


def count_held(kind: str, thing: Any, key: str = "") -> dict[str, int]:  # noqa: ANN401 - any row that can be stopped
    """Count what a stop changes.

    `agents` with live access or sessions, live `grants`, open `sessions`, live `tokens`, `people` served, `families` of
    refresh tokens that are open, `dependents`: agents that may act through its agents, and `vendors`: systems at which
    tokens of others than Mandate may live.
    """
    reach, now = _REACH[kind](thing, key), clock.now()
    live = Grant.objects.filter(reach.grants, ended_at=None, expires_at__gt=now)
    running = Session.objects.filter(reach.sessions, ended_at=None, expires_at__gt=now)
    alive = IssuedToken.objects.filter(reach.tokens, revoked_at=None, expires_at__gt=now)
    is_all, is_sign_in = kind == EVERYTHING, kind in (SIGN_INS, "token_family")
    agents = live.values("agent").union(running.values("agent"))
    people = 1 if is_sign_in else _people(live, running, of_all=is_all).count()
    return {
        "agents": 0 if is_sign_in else (Agent.objects if is_all else agents).count(),
        "grants": live.count(),
        "sessions": running.count(),
        "tokens": alive.count(),
        "people": people,
        "families": person_sign_ins.open_families(TokenFamily.objects.filter(reach.families), now).count(),
        "dependents": _dependents(reach.agents),
        "vendors": _vendors(reach),
    }


def tokens_of(target: Target) -> Q:
    """Select the tokens that a target's stop reaches. Raises NotFound."""
    return _REACH[target.type](target.find(), target.id).tokens


def calls_of(target: Target) -> Q:
    """Select the events of a target's calls. Raises NotFound."""
    return _REACH[target.type](target.find(), target.id).calls


def calls_per_hour(which: Q, until: datetime) -> int:
    """Count the calls that were allowed in the hour before; of more than MOST_CALLS, by the rate of the latest."""
    allowed = Event.objects.filter(which, action=Action.CALL_ALLOWED, at__gt=until - HOUR, at__lte=until)
    found = allowed.order_by("-at").values("at")[:MOST_CALLS].aggregate(calls=Count("at"), first=Min("at"))
    if found["calls"] < MOST_CALLS:
        return int(found["calls"])
    lasted: timedelta = max(until - found["first"], timedelta(seconds=1))
    return round(int(found["calls"]) * (HOUR / lasted))


def _dependents(stopped: Q) -> int:
    """Count the other agents that these permit to act for them: what those do through them ends."""
    agents = Agent.objects.filter(stopped).values("pk")
    permitted = DelegationPermission.objects.filter(agent__in=agents, ended_at=None).exclude(actor__in=agents)
    return permitted.values("actor").distinct().count()


def _vendors(reach: _Reach) -> int:
    """Count the systems whose own authorization server gave tokens: for our ID-JAGs, or for a connected account."""
    minted = IssuedToken.objects.filter(reach.tokens, kind=IssuedToken.Kind.ID_JAG, system__vendor__isnull=False)
    connected = ConnectedAccount.objects.filter(reach.accounts, ended_at=None)
    return minted.values("system").union(connected.values("system")).count()


def _people(live: QuerySet[Grant], running: QuerySet[Session], *, of_all: bool) -> QuerySet[Any, Any]:
    """Find whom these grants and sessions serve. Where it is all of them, looking person by person is quicker."""
    if of_all:
        named = GrantSubject.objects.filter(grant__in=live)
        by_group = Membership.objects.filter(person=OuterRef("pk"), group__in=named.values("group"))
        served = Exists(named.filter(person=OuterRef("pk"))) | Exists(by_group)
        return Person.objects.filter(served | Exists(running.filter(person=OuterRef("pk"))))
    named = GrantSubject.objects.filter(grant__in=live.values("pk"))
    directly = named.filter(person__isnull=False).values("person")
    in_groups = Membership.objects.filter(group__in=named.values("group")).values("person")
    return directly.union(in_groups, running.filter(person__isnull=False).values("person"))


def _grant(thing: Any, _key: str) -> _Reach:  # noqa: ANN401 - a row of its kind, as below
    return _Reach(
        grants=Q(pk=thing.pk),
        sessions=Q(pk__in=thing.tokens.values("token__session")),
        tokens=Q(pk__in=thing.tokens.values("token")),
        agents=Q(pk=thing.agent_id),
        accounts=Q(system=thing.entitlement.system_id, consents__agent=thing.agent_id),
        calls=_linked(f"grant:{thing.pk}"),
    )


def _agent(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    of = Q(agent=thing)
    return _Reach(of, of, of, of, Q(pk=thing.pk), Q(consents__agent=thing), _linked(f"agent:{thing.slug}"))


def _client(thing: Any, _key: str) -> _Reach:  # noqa: ANN401 - its agent keeps its access, for its other clients
    of = Q(client=thing)
    return _Reach(
        sessions=of,
        tokens=of,
        families=of,
        accounts=Q(consents__client=thing),
        calls=_linked(f"client:{thing.client_id}"),
    )


def _person(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    of, sponsored = Q(person=thing) | Q(agent__sponsor=thing), Grant.objects.filter(agent__sponsor=thing)
    grants = Q(pk__in=thing.grant_subjects.values("grant").union(sponsored.values("pk")))
    agents = Agent.objects.filter(sponsor=thing)
    calls = _linked(f"person:{thing.login}") | _called_by(agents)
    return _Reach(grants, of, of, Q(person=thing), Q(sponsor=thing), Q(person=thing), calls)


def _person_agents(thing: Any, key: str) -> _Reach:  # noqa: ANN401
    alone, owned = _person(thing, key), Q(agent__owner=thing)
    held = thing.grant_subjects.values("grant")
    stopped = Agent.objects.filter(agents_of(thing.login))
    theirs = Grant.objects.filter(agent__in=stopped)
    return _Reach(
        grants=Q(pk__in=held.union(theirs.values("pk"))),
        sessions=alone.sessions | owned,
        tokens=alone.tokens | owned,
        families=alone.families | Q(agent__in=stopped.values("pk")),
        agents=agents_of(thing.login),
        accounts=alone.accounts | Q(consents__agent__in=stopped.values("pk")),
        calls=_linked(f"person:{thing.login}") | _called_by(stopped),
    )


def _session(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    drawn = thing.tokens.values("draws_on__grant")
    of, agents = Q(session=thing), Q(pk=thing.agent_id)
    return _Reach(Q(pk__in=drawn), Q(pk=thing.pk), of, of, agents, calls=_linked(f"session:{thing.pk}"))


def _token(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    return _Reach(
        grants=Q(pk__in=thing.draws_on.values("grant")),
        sessions=Q(pk=thing.session_id),
        tokens=Q(pk=thing.pk),
        agents=Q(pk=thing.agent_id),
        calls=_linked(f"token:{thing.pk}"),
    )


def _token_family(thing: Any, _key: str) -> _Reach:  # noqa: ANN401 - access is kept, and its agent goes on
    tokens = IssuedToken.objects.filter(family=thing.pk, expires_at__gt=clock.now() - HOUR).order_by("-issued_at")
    names = [f"token:{jti}" for jti in tokens.values_list("pk", flat=True)[:100]]
    return _Reach(tokens=Q(family=thing.pk), families=Q(pk=thing.pk), calls=Q(links__overlap=names or ["-"]))


def _sign_ins(_thing: Any, key: str) -> _Reach:  # noqa: ANN401 - access is kept, and their agents go on
    of, target = PersonClient.named(key).condition, Target(SIGN_INS, key)
    return _Reach(sessions=of, tokens=of, families=of, calls=_linked(*target.links))


def _system(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    of, tokens = Q(system=thing), IssuedToken.objects.filter(system=thing)
    sessions = Q(pk__in=tokens.values("session"))
    calls = _linked(f"system:{thing.slug}")
    return _Reach(Q(entitlement__system=thing), sessions, of, of, accounts=of, calls=calls)


def _tool(thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    lines = GrantLine.objects.filter(tool=thing).values("grant")
    drawn = TokenGrant.objects.filter(grant__in=lines)
    return _Reach(
        grants=Q(pk__in=lines),
        sessions=Q(pk__in=drawn.values("token__session")),
        tokens=Q(pk__in=drawn.values("token")),
        calls=_linked(f"tool:{thing.system.slug}/{thing.name}"),
    )


def _everything(_thing: Any, _key: str) -> _Reach:  # noqa: ANN401
    return _Reach(_ALL, _ALL, _ALL, _ALL, _ALL, _ALL, Q())


def _linked(*links: str) -> Q:
    return Q(links__contains=list(links))


def _called_by(agents: QuerySet[Agent]) -> Q:
    names = [f"agent:{slug}" for slug in agents.values_list("slug", flat=True)]
    return Q(links__overlap=names) if names else Q(pk__in=[])


_REACH: Final[dict[str, Callable[[Any, str], _Reach]]] = {
    "grant": _grant,
    "agent": _agent,
    "client": _client,
    "person": _person,
    PERSON_AGENTS: _person_agents,
    "session": _session,
    "token": _token,
    "token_family": _token_family,
    SIGN_INS: _sign_ins,
    "system": _system,
    "tool": _tool,
    EVERYTHING: _everything,
}
