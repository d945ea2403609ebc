"""From rows to the people around a request, which is what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus

from entitlements.errors import DomainError
from entitlements.models import Agent, Group, Person, Role, System

from . import rules
from .models import AccessRequest


class NoApprover(DomainError):
    """Nobody may approve this request: everybody who could has asked for it, benefits from it, or has left."""

    code, status = "no_approver", HTTPStatus.UNPROCESSABLE_ENTITY


def around(
    agent: Agent, system: System, *, requesters: Iterable[str], people: Sequence[Person], groups: Sequence[Group]
) -> rules.Surroundings:
    """Read the people around a request as they are now: groups expanded, roles and activity included."""
    sponsor = agent.sponsor
    security = Person.objects.filter(roles__role=Role.SECURITY, is_active=True)
    acted_for = [*people, *Person.objects.filter(memberships__group__in=groups)]
    named = [person for person in (sponsor, agent.owner, sponsor.manager, system.owner) if person]
    secure = list(security)
    return rules.Surroundings(
        personal=agent.kind == Agent.Kind.PERSONAL,
        sponsor=sponsor.login,
        owner=agent.owner.login if agent.owner else None,
        manager=sponsor.manager.login if sponsor.manager else None,
        system_owner=system.owner.login if system.owner else None,
        security=frozenset(person.login for person in secure),
        requesters=frozenset(requesters),
        beneficiaries=frozenset(person.login for person in acted_for),
        active=frozenset(person.login for person in [*named, *secure, *acted_for] if person.is_active),
    )


def around_request(request: AccessRequest) -> rules.Surroundings:
    """Read the people around a request that exists, and who of them came to their office after it was asked."""
    now = around(
        request.agent,
        request.entitlement.system,
        requesters=requesters(request),
        people=list(request.people.all()),
        groups=list(request.groups.all()),
    )
    held = {now.sponsor, now.system_owner, *([now.manager] if now.personal else [])} - {None}
    then = (request.sponsor_then, request.system_owner_then, request.manager_then)
    before = {person.login for person in then if person}
    newcomers = frozenset(login for login in held if login and login not in before) if before else frozenset[str]()
    return replace(now, owner_then=request.owner_then.login if request.owner_then else None, newcomers=newcomers)


def requesters(request: AccessRequest) -> frozenset[str]:
    """Name everybody who stands behind the ask: the person, and who owned an agent that asked for itself."""
    behind = {request.requested_by.login} if request.requested_by else set[str]()
    if request.requested_as.startswith("agent:"):
        owners = (request.owner_then, request.agent.owner)
        behind |= {owner.login for owner in owners if owner}
    return frozenset(behind)


def resolve(stages: Sequence[rules.Stage], surroundings: rules.Surroundings) -> tuple[rules.Resolution, ...]:
    """Find the people of each stage. Raises NoApprover, whose detail says which stage, who was passed over and why."""
    found = rules.resolve(stages, surroundings)
    if isinstance(found, rules.Unresolved):
        raise NoApprover(
            stage=found.stage.value, skipped=[{"who": skip.who, "why": skip.why.value} for skip in found.skipped]
        )
    return found
