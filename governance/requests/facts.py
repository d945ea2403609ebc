"""The people around a request, read from rows: whom its stages ask, and who has a conflict of interest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from entitlements.access import role_reach
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.people.models import Group, Membership, Person, Role
from governance.conflicts_of_interest.routing import GROUP, People
from governance.requests.models import AccessRequest


def people(
    agent: Agent,
    system: System,
    *,
    requesters: Iterable[str],
    acted_for: Sequence[Person],
    groups: Sequence[Group],
    stages: Iterable[str] = (),
) -> People:
    """Read the people around a request as they are now: groups expanded, roles and activity included.

    `stages` are those that it has or shall have; the members of groups among them are read as well.
    """
    sponsor = agent.sponsor
    served = [*acted_for, *Person.objects.filter(memberships__group__in=groups)]
    named = [person for person in (sponsor, agent.owner, sponsor.manager, system.owner) if person]
    security = list(role_reach.holders(Role.SECURITY, system=system, people=[sponsor, *acted_for]))
    by_stage = members(stages)
    grouped = [person for members_of_one in by_stage.values() for person in members_of_one]
    return People(
        sponsor=sponsor.login,
        owners=frozenset({agent.owner.login} if agent.owner else ()),
        manager=sponsor.manager.login if sponsor.manager else None,
        system_owner=system.owner.login if system.owner else None,
        security=tuple(person.login for person in security),
        requesters=frozenset(requesters),
        beneficiaries=frozenset(person.login for person in served),
        active=frozenset(person.login for person in [*named, *security, *served, *grouped] if person.is_active),
        groups={stage: _logins(people_of_stage) for stage, people_of_stage in by_stage.items()},
    )


def members(stages: Iterable[str]) -> dict[str, list[Person]]:
    """Read who is in the groups among these stages, by stage; a group that is gone has no member."""
    by_stage = {stage: list[Person]() for stage in stages if stage.startswith(GROUP)}
    slugs = [stage.removeprefix(GROUP) for stage in by_stage]
    for membership in Membership.objects.filter(group__slug__in=slugs).select_related("person", "group"):
        by_stage[f"{GROUP}{membership.group.slug}"].append(membership.person)
    return by_stage


def people_of(request: AccessRequest) -> People:
    """Read the people around a request that exists, and who of them came to their office after it was made."""
    now = people(
        request.agent,
        request.entitlement.system,
        requesters=requesters(request),
        acted_for=list(request.people.all()),
        groups=list(request.groups.all()),
        stages=[stage.stage for stage in request.approvals.all()],
    )
    personal = request.agent.kind == Agent.Kind.PERSONAL
    held = {now.sponsor, now.system_owner, *([now.manager] if personal else [])} - {None}
    then = _logins((request.sponsor_then, request.system_owner_then, request.manager_then))
    newcomers = frozenset(login for login in held if login and login not in then) if then else frozenset[str]()
    late = _late(request, now.groups)
    joined = frozenset[str]().union(*late.values())
    on_time = [logins - late[stage] for stage, logins in now.groups.items()]
    otherwise = frozenset[str]().union(now.security, held - newcomers, *on_time)
    return replace(
        now,
        groups={stage: logins - (late[stage] & otherwise) for stage, logins in now.groups.items()},
        owners=now.owners | _logins([request.owner_then]),
        newcomers=newcomers | (joined - otherwise),  # joining a group takes no office away that a person held before
        appealed=answered(request.appeals),
    )


def _late(request: AccessRequest, stages: Iterable[str]) -> dict[str, frozenset[str]]:
    """Name who joined a stage's group after the request was made, by stage."""
    late = {stage: set[str]() for stage in stages}
    slugs = [stage.removeprefix(GROUP) for stage in late]
    rows = Membership.objects.filter(group__slug__in=slugs, created_at__gt=request.asked_at)
    for slug, login in rows.values_list("group__slug", "person__login"):
        late[f"{GROUP}{slug}"].add(login)
    return {stage: frozenset(logins) for stage, logins in late.items()}


def _logins(people: Iterable[Person | None]) -> frozenset[str]:
    return frozenset(person.login for person in people if person)


def answered(request: AccessRequest | None) -> frozenset[str]:
    """Name who answered a request, for themselves or as a delegate: they do not answer its appeal."""
    answers = request.approvals.select_related("by", "in_place_of") if request else []
    return _logins(person for answer in answers for person in (answer.by, answer.in_place_of))


def requesters(request: AccessRequest) -> frozenset[str]:
    """Name everybody who stands behind a request: the person, and who owned an agent that asked for itself."""
    owners = (request.owner_then, request.agent.owner) if request.is_made_by_agent else ()
    return _logins([request.requested_by, *owners])
