"""Compute what the inventory shows of agents beforehand, thousands in a fixed number of statements.

The worker does it each minute: for agents that a change names, for those without a row, and in turn for the rest, so
that a lost message or a change that nothing notes is made up for within the half hour at 100,000 agents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.feed.models import Change
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Membership
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from governance.blast_radius import holdings
from governance.blast_radius.holdings import Holdings
from governance.blast_radius.models import AgentSummary
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.suggestions import suggestions
from governance.reviews.usage.models import UsageDay
from governance.sod import check

AT_ONCE: Final = 1_000
IN_TURN: Final = 4_000
"""How many agents are computed anew each minute, those with the oldest rows first."""
NOTED: Final = timedelta(minutes=3)
"""Changes that are this young are looked at in each turn: longer than a turn, so that none falls between two."""
MOST_CHANGES: Final = 5_000
"""How many of the last changes are looked at."""
_NAMING: Final = ("agent_id", "client_id", "group_id", "person_id", "system_id", "tool_id")
_COMPUTED: Final = [field.name for field in AgentSummary._meta.fields if not field.primary_key]
"""The columns that are computed."""


def refresh_due() -> int:
    """Compute the rows that are due; returns how many. Two at once do the same work twice and harm nothing."""
    changed = set(_changed_since(clock.now() - NOTED))
    missing = list(Agent.objects.filter(summary=None).order_by("pk").values_list("pk", flat=True)[:IN_TURN])
    oldest = AgentSummary.objects.order_by("computed_at").values_list("agent", flat=True)[:IN_TURN]
    return refresh(sorted({*changed, *missing, *oldest}))


def refresh(agents: Collection[int]) -> int:
    """Compute the rows of some agents now; returns how many."""
    for ids in batched(agents, AT_ONCE):
        AgentSummary.objects.bulk_create(
            computed(ids, clock.now()), update_conflicts=True, unique_fields=["agent"], update_fields=_COMPUTED
        )
    return len(agents)


def _changed_since(since: datetime) -> QuerySet[Agent, int]:
    """Return the agents that a late change names, or that hold something by what it names."""
    latest = Change.objects.order_by("-pk").values("noted_at", *_NAMING)[:MOST_CHANGES]
    changes = [change for change in latest if change["noted_at"] >= since]

    def named(column: str) -> set[Any]:
        return {change[column] for change in changes} - {None}

    groups = Membership.objects.filter(person__in=named("person_id")).values("group")
    subjects = GrantSubject.objects.filter(
        Q(person__in=named("person_id")) | Q(group__in=named("group_id")) | Q(group__in=groups)
    )
    grants = Grant.objects.filter(ended_at=None).filter(
        Q(pk__in=subjects.values("grant"))
        | Q(pk__in=GrantLine.objects.filter(tool__in=named("tool_id")).values("grant"))
        | Q(entitlement__system__in=named("system_id"))
    )
    by_client = Client.objects.filter(pk__in=named("client_id")).values("agent")
    own = Q(pk__in=named("agent_id")) | Q(pk__in=by_client) | Q(pk__in=grants.values("agent"))
    return Agent.objects.filter(own).values_list("pk", flat=True)


def computed(agents: Sequence[int], now: datetime) -> list[AgentSummary]:
    """Compute the rows of some agents in a fixed number of statements, without storing them."""
    held, people, violations = holdings.held_by(agents), _people(agents, now), _violations(agents)
    changed, secrets, used = _changed_tools(agents, now), _old_secrets(agents, now), _last_used(agents)
    reviewed, due = _reviewed(agents), _next_reviews(agents)
    nothing = Holdings()
    return [
        AgentSummary(
            agent_id=pk,
            blast_radius=(one := held.get(pk, nothing)).score,
            weight=one.weight,
            biggest=[asdict(line) for line in one.biggest],
            grants=len(one.grants),
            tools=len(one.tools),
            privileged=len(one.privileged),
            people=people.get(pk, 0),
            sod_violations=violations.get(pk, 0),
            changed_tools=changed.get(pk, 0),
            old_secrets=secrets.get(pk, 0),
            last_used_at=used.get(pk),
            reviewed_at=reviewed.get(pk),
            next_review_at=due.get(pk),
            computed_at=now,
        )
        for pk in agents
    ]


def _people(agents: Sequence[int], now: datetime) -> dict[int, int]:
    """Count whom each agent acts for, the people of groups included."""
    live = GrantSubject.objects.filter(grant__agent__in=agents, grant__ended_at=None, grant__expires_at__gt=now)
    direct = live.exclude(person=None).values_list("grant__agent", "person")
    in_groups = live.exclude(group__people=None).values_list("grant__agent", "group__people")
    return Counter(agent for agent, _person in direct.union(in_groups))


def _violations(agents: Sequence[int]) -> dict[int, int]:
    """Count the SoD policies that each agent violates without an exception."""
    return {
        pk: len({each.rule.pk for each in found if each.agent.pk == pk and each.exception is None})
        for pk, found in check.violations(agents).items()
    }


def _changed_tools(agents: Sequence[int], now: datetime) -> dict[int, int]:
    """Count the tools that each agent holds and whose definition is no longer the approved one."""
    moved = Q(tool__state=Tool.State.QUARANTINED) | ~Q(tool__seen=F("tool__approved")) | Q(tool__approved=None)
    lines = GrantLine.objects.filter(moved, grant__agent__in=agents, grant__ended_at=None, grant__expires_at__gt=now)
    return dict(lines.order_by().values_list("grant__agent").annotate(n=Count("tool", distinct=True)))


def _old_secrets(agents: Sequence[int], now: datetime) -> dict[int, int]:
    """Count the shared secrets in force of each agent that are older than a year."""
    old = Client.objects.filter(
        agent__in=agents,
        auth=Client.Auth.CLIENT_SECRET_BASIC,
        status=Client.Status.ACTIVE,
        credential_made_at__lte=now - suggestions.OLD_SECRET,
    )
    return dict(old.order_by().values_list("agent").annotate(n=Count("pk")))


def _last_used(agents: Sequence[int]) -> dict[int, datetime]:
    """Return when each agent was last used: the latest of its sessions, its tokens and its allowed calls."""
    kinds = ((Session, "last_used_at"), (IssuedToken, "issued_at"), (UsageDay, "last_at"))
    used: dict[int, datetime] = {}
    for model, column in kinds:
        rows = model._default_manager.filter(agent__in=agents, **{f"{column}__isnull": False}).order_by()  # noqa: SLF001 - Django's own name
        for pk, at in rows.values_list("agent").annotate(at=Max(column)):
            used[pk] = max(at, used.get(pk, at))
    return used


def _reviewed(agents: Sequence[int]) -> dict[int, datetime]:
    """Return when a review last decided something about each agent."""
    items = ReviewItem.objects.filter(agent__in=agents, current_decision__isnull=False).order_by()
    return dict(items.values_list("agent").annotate(latest=Max("current_decision__decided_at")))


def _next_reviews(agents: Sequence[int]) -> dict[int, datetime]:
    """Return when the earliest review that asks about each agent is due."""
    begun = (Campaign.State.STAGED, Campaign.State.ACTIVE, Campaign.State.PAUSED)
    items = ReviewItem.objects.filter(
        agent__in=agents, state=ReviewItem.State.IN_REVIEW, campaign__state__in=begun
    ).order_by()
    return dict(items.values_list("agent").annotate(earliest=Min("campaign__due_at")))
