"""What the pages of agents read."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import F, Max, Prefetch, Q, QuerySet

from audit import clock
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent, AgentVersion
from entitlements.catalog.models import ToolVersion
from entitlements.delegation import permissions
from entitlements.delegation.models import DelegationPermission
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import visibility as visibility_actions
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import suggestions
from governance.reviews.usage import queries as usage_queries
from governance.reviews.usage import usage

MOST_REVIEWED: Final = 100
"""How many items of reviews the page of an agent shows; the audit log has all of them."""


def listed(caller: Caller) -> QuerySet[Agent]:
    """Return the agents that a caller sees, each with what was computed beforehand, None where it was not yet."""
    shown = {
        "blast_radius": F("summary__blast_radius"),
        "grant_count": F("summary__grants"),
        "tool_count": F("summary__tools"),
        "privileged_count": F("summary__privileged"),
        "last_used": F("summary__last_used_at"),
        "reviewed_at": F("summary__reviewed_at"),
        "next_review_at": F("summary__next_review_at"),
    }
    rows = visibility.agents(caller).select_related("sponsor__sourced", "owner__sourced", "summary", "dormancy")
    return rows.annotate(**shown)


def with_access_to(rows: QuerySet[Agent], system: str) -> QuerySet[Agent]:
    """Return those of some agents that have access to a system, by its slug: found by its grants first."""
    held = Grant.objects.filter(ended_at=None, entitlement__system__slug=system).order_by()
    return rows.filter(role_reach.one_of("pk", held.values("agent").distinct()))


def access(caller: Caller, agent: Agent) -> dict[str, Any]:
    """Return the grants of an agent that the person may see: those in force, then the last that ended."""
    rows = visibility.grants(caller).filter(agent=agent)
    return {
        "grants": usage_queries.with_use(
            list(rows.filter(ended_at=None).order_by("entitlement__system__slug", "entitlement__scope"))
        ),
        "delegates": permissions.open_between(Agent.objects.filter(pk=agent.pk)),
        "delegators": delegators(caller, agent),
        "beyond": usage.denied_beyond(agent.pk, clock.now()),
        "ended": list(rows.exclude(ended_at=None).order_by("-ended_at")[:20]),
    }


def delegators(caller: Caller, agent: Agent) -> QuerySet[DelegationPermission]:
    """Return the permissions by which an agent may act for others that the person sees."""
    return permissions.open_between(visibility.agents(caller)).filter(actor=agent)


def tokens(caller: Caller, agent: Agent) -> dict[str, Any]:
    """Return clients, open sessions and live tokens of an agent."""
    now = clock.now()
    live = Q(expires_at__gt=now, revoked_at=None)
    return {
        "clients": list(visibility.clients(caller).filter(agent=agent).order_by("client_id")),
        "connections": list(visibility.connections(caller).filter(agent=agent, ended_at=None)),
        "old": now - suggestions.OLD_SECRET,
        "sessions": list(
            visibility.sessions(caller)
            .filter(agent=agent, ended_at=None, expires_at__gt=now)
            .order_by("-last_used_at")[:50]
        ),
        "tokens": list(visibility.tokens(caller).filter(live, agent=agent).order_by("-issued_at")[:50]),
        "issued_ever": IssuedToken.objects.filter(agent=agent).count(),
    }


def people(caller: Caller, agent: Agent) -> dict[str, Any]:
    """Return whom an agent may act for, by which grant, and when it last did."""
    used = {
        row["person__login"]: row["at"]
        for row in Session.objects.filter(agent=agent, person__isnull=False)
        .values("person__login")
        .annotate(at=Max("last_used_at"))
    }
    rows = []
    for grant in visibility.grants(caller).filter(agent=agent, ended_at=None):
        for subject in grant.subjects.all():
            login = subject.person.login if subject.person else ""
            rows.append({"grant": grant, "subject": subject, "last": used.get(login)})
    return {"acted_for": rows}


def versions(agent: Agent) -> dict[str, Any]:
    """Return what an agent ran, and the definitions of the tools that it holds, the newest first."""
    held = Grant.objects.filter(agent=agent, ended_at=None).values("lines__tool")
    return {
        "reported": list(AgentVersion.objects.filter(agent=agent).order_by("-reported_at", "-pk")[:50]),
        "versions": list(
            ToolVersion.objects.filter(tool__in=held)
            .select_related("tool__system", "tool__approved", "tool__seen", "approved_by")
            .order_by("-seen_at")[:100]
        ),
    }


def reviewed(caller: Caller, agent: Agent) -> dict[str, Any]:
    """Return what reviews that have begun asked about an agent, as far as the person may see it, the latest first."""
    assigned = Assignment.objects.filter(state=Assignment.State.ASSIGNED).select_related("reviewer")
    rows = (
        visibility_actions.items_visible_to(caller.human)
        .filter(agent=agent)
        .exclude(campaign__state__in=Campaign.BEFORE)
        .prefetch_related(Prefetch("assignments", assigned, to_attr="asked"))
        .order_by("-campaign__snapshot_at", "number")
    )
    return {"reviewed": list(rows[:MOST_REVIEWED])}


def acting_for(person: Person) -> QuerySet[Grant]:
    """Return the grants under which agents act for a person."""
    grants = Grant.objects.filter(visibility.naming(person.login), ended_at=None, expires_at__gt=clock.now())
    return grants.select_related("agent", "entitlement__system").prefetch_related("lines__tool")
