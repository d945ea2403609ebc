"""From rows to the people around a request, which is what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.people.models import Group, Membership, Person, Role
from governance.approvals.models import Approval
from governance.deciders import request_rules
from governance.requests.models import AccessRequest


class NoApprover(DomainError):
    """No person may approve this request: all candidates requested it, benefit from it, or have left."""

    code, status = "no_approver", HTTPStatus.UNPROCESSABLE_ENTITY


class AnsweredBefore(DomainError):
    """You cannot answer this appeal because you answered the request that it appeals."""

    code, status = "answered_what_is_appealed", HTTPStatus.FORBIDDEN


def surroundings(
    agent: Agent,
    system: System,
    *,
    requesters: Iterable[str],
    people: Sequence[Person],
    groups: Sequence[Group],
    stages: Iterable[str] = (),
) -> request_rules.Surroundings:
    """Read the people around a request as they are now: groups expanded, roles and activity included.

    `stages` are those that it has or shall have; the members of groups among them are read as well.
    """
    sponsor = agent.sponsor
    security = Person.objects.holding(Role.SECURITY)
    acted_for = [*people, *Person.objects.filter(memberships__group__in=groups)]
    named = [person for person in (sponsor, agent.owner, sponsor.manager, system.owner) if person]
    secure, grouped_by_stage = list(security), members(stages)
    in_groups = [person for those in grouped_by_stage.values() for person in those]
    return request_rules.Surroundings(
        personal=agent.kind == Agent.Kind.PERSONAL,
        sponsor=sponsor.login,
        owner=agent.owner.login if agent.owner else None,
        manager=sponsor.manager.login if sponsor.manager else None,
        system_owner=system.owner.login if system.owner else None,
        security=frozenset(person.login for person in secure),
        requesters=frozenset(requesters),
        beneficiaries=frozenset(person.login for person in acted_for),
        active=frozenset(person.login for person in [*named, *secure, *acted_for, *in_groups] if person.is_active),
        groups={stage: frozenset(person.login for person in those) for stage, those in grouped_by_stage.items()},
    )


def members(stages: Iterable[str]) -> dict[str, list[Person]]:
    """Read who is in the groups among these stages, by stage; a group that is gone is empty."""
    named = {stage: list[Person]() for stage in stages if stage.startswith(request_rules.GROUP)}
    slugs = [stage.removeprefix(request_rules.GROUP) for stage in named]
    for membership in Membership.objects.filter(group__slug__in=slugs).select_related("person", "group"):
        named[f"{request_rules.GROUP}{membership.group.slug}"].append(membership.person)
    return named


def surroundings_of_request(request: AccessRequest) -> request_rules.Surroundings:
    """Read the people around a request that exists, and which of them took their role after it was submitted."""
    now = surroundings(
        request.agent,
        request.entitlement.system,
        requesters=requesters(request),
        people=list(request.people.all()),
        groups=list(request.groups.all()),
        stages=[stage.stage for stage in request.approvals.all()],
    )
    held = {now.sponsor, now.system_owner, *([now.manager] if now.personal else [])} - {None}
    then = (request.sponsor_then, request.system_owner_then, request.manager_then)
    before = {person.login for person in then if person}
    newcomers = frozenset(login for login in held if login and login not in before) if before else frozenset[str]()
    late = _late(request, now.groups)
    joined = frozenset[str]().union(*late.values())
    on_time = [those - late[stage] for stage, those in now.groups.items()]
    otherwise = frozenset[str]().union(now.security, held - newcomers, *on_time)
    groups = {stage: those - (late[stage] & otherwise) for stage, those in now.groups.items()}
    newcomers |= joined - otherwise  # a person who could answer before still can after joining a group
    owner_then = request.owner_then.login if request.owner_then else None
    return replace(now, groups=groups, owner_then=owner_then, newcomers=newcomers, appealed=_answered(request.appeals))


def _late(request: AccessRequest, stages: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return who joined a stage's group after the request was asked, by stage."""
    late = {stage: set[str]() for stage in stages}
    slugs = [stage.removeprefix(request_rules.GROUP) for stage in late]
    rows = Membership.objects.filter(group__slug__in=slugs, created_at__gt=request.asked_at)
    for slug, login in rows.values_list("group__slug", "person__login"):
        late[f"{request_rules.GROUP}{slug}"].add(login)
    return {stage: frozenset(logins) for stage, logins in late.items()}


def _answered(request: AccessRequest | None) -> frozenset[str]:
    """Return who answered a request, themselves or by a delegate: they cannot answer its appeal."""
    answers = request.approvals.select_related("by", "in_place_of") if request else []
    return frozenset(who.login for approval in answers for who in (approval.by, approval.in_place_of) if who)


def requesters(request: AccessRequest) -> frozenset[str]:
    """Return the logins behind a request: the person, and the owners of an agent that requested for itself."""
    behind = {request.requested_by.login} if request.requested_by else set[str]()
    if request.requested_as.startswith("agent:"):
        owners = (request.owner_then, request.agent.owner)
        behind |= {owner.login for owner in owners if owner}
    return frozenset(behind)


def resolve(stages: Sequence[str], around: request_rules.Surroundings) -> tuple[request_rules.Resolution, ...]:
    """Find the people of each stage. Raises NoApprover, whose detail says which stage, who was passed over and why."""
    resolved = request_rules.resolve(stages, around)
    if isinstance(resolved, request_rules.Unresolved):
        raise NoApprover(
            stage=resolved.stage, skipped=[{"who": skip.who, "why": skip.why.value} for skip in resolved.skipped]
        )
    return resolved


def resolve_new(
    request: AccessRequest, stages: Sequence[str], people: Sequence[Person], groups: Sequence[Group]
) -> tuple[request_rules.Resolution, ...]:
    """Find the people of each stage of a request that is not stored yet, on the terms of `resolve`."""
    behind, system = requesters(request), request.entitlement.system
    around = surroundings(request.agent, system, requesters=behind, people=people, groups=groups, stages=stages)
    return resolve(stages, replace(around, appealed=_answered(request.appeals)))


def wait_for(request: AccessRequest, resolved: Sequence[request_rules.Resolution], *, at: datetime) -> None:
    """Let a request wait for these people, after what it has waited for before."""
    first = request.approvals.count() + 1
    for position, resolution in enumerate(resolved, start=first):
        approval = Approval.objects.create(
            request=request, position=position, stage=resolution.stage, resolution=resolution.as_evidence(at)
        )
        approval.waiting_for.set(Person.objects.filter(login__in=resolution.chosen))
