"""Actions on a file of existing access: preview it, ask sponsors, take their answers, adopt what they accepted.

Adopted access needs three people: the one who brought the file, the sponsor who accepted each agent with its lines,
and the analyst who confirms. The first cannot accept, and the other two may not own the agent or benefit from it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.agent_discovery import matches, sightings
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.definitions import impressions
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import Workflow
from governance.onboarding.models import ExistingAccess, OnboardedAgent, OnboardingBatch

from . import files as files_actions
from . import grants as grants_actions
from .grants import Plan
from .stakes import Stakes

State, Batch = OnboardedAgent.State, OnboardingBatch.State
MOST_PROBLEMS: Final = 500
OPEN: Final = (State.LISTED, State.DECLINED)
CHANGED: Final = "changed_since_accepted"


class Empty(DomainError):
    """The file names no agent that could be onboarded."""

    code, status = "onboarding_empty", HTTPStatus.UNPROCESSABLE_ENTITY


class NothingAccepted(DomainError):
    """There is nothing to confirm: no sponsor has accepted an agent that is not onboarded yet."""

    code, status = "onboarding_nothing_accepted", HTTPStatus.CONFLICT


class OwnBenefit(Forbidden):
    """You cannot accept or onboard this access because you own the agent or it acts for you. Ask another person."""

    code = "onboarding_own_benefit"


@dataclass(slots=True)
class Outcome:
    """What a confirmation did: the agents adopted, the grants made, what refused a grant, or sent an agent back."""

    agents: int = 0
    grants: int = 0
    refused: dict[str, list[str]] = field(default_factory=dict)


@transaction.atomic
def prepare(content: bytes, *, file_name: str, agent: str = "", by: Person) -> OnboardingBatch:
    """Read a file and keep what it says; nothing of it is in force. The same content again is the batch of before.

    `agent` names whose a client configuration is. Raises reading.NotReadable, reading.TooMuch, reading.AgentNotNamed,
    Empty.
    """
    digest = hashlib.sha256(content + b"\0" + agent.strip().encode()).hexdigest()
    locks.exclusive((Lock.REQUEST, f"adoption:{digest}"))
    if (before := OnboardingBatch.objects.filter(sha256=digest).first()) is not None:
        return before
    contents = files_actions.read(content, agent=agent)
    if not contents.sightings:
        raise Empty(problems=[problem.as_json() for problem in contents.problems[:20]])
    now = clock.now()
    problems = [problem.as_json() for problem in contents.problems]
    batch = OnboardingBatch.objects.create(
        source=contents.source.value,
        file_name=impressions.visible(file_name)[:200],
        sha256=digest,
        size=len(content),
        lines_read=len(contents.sightings),
        brought_by=by,
        made_at=now,
        problems=problems[:MOST_PROBLEMS],
        problems_left_out=max(0, len(problems) - MOST_PROBLEMS),
    )
    _keep(batch, contents)
    detail = {"sha256": digest, "source": batch.source, "lines": batch.lines_read, "file_name": batch.file_name}
    counts = {"agents": batch.agents.count(), "refused": len(problems)}
    log.record(Action.ONBOARDING_PREPARED, about=about(batch), by=by.principal, detail=detail | counts)
    return batch


def about(batch: OnboardingBatch) -> list[str]:
    """Return the audit log's links of a batch."""
    return [f"adoption:{batch.pk}", f"person:{batch.brought_by.login}"]


def _keep(batch: OnboardingBatch, contents: sightings.Contents) -> None:
    """Write what was read: agents that were seen, their lines, and where they are on the map."""
    rows = matches.agents(contents.sightings, source=contents.source, now=batch.made_at)
    known = matches.known(contents.sightings)
    wanted: dict[str, str] = {}
    lines = []
    for sighting in contents.sightings:
        key = sightings.key_of(sighting.agent, sighting.client_id)
        wanted[key] = wanted.get(key) or sighting.sponsor
        system, because = known.system(sighting)
        lines.append(
            ExistingAccess(
                batch=batch,
                row=sighting.row,
                seen=rows[key],
                system_name=sighting.system,
                system=system,
                because=because,
                tools=list(sighting.tools),
                person_name=sighting.person,
                person=known.people.get(sighting.person.casefold()),
                group_name=sighting.group,
                group=known.groups.get(sighting.group),
                last_used_at=sighting.last_used and min(sighting.last_used, batch.made_at),
                calls=sighting.calls,
            )
        )
    ExistingAccess.objects.bulk_create(lines, batch_size=2000, ignore_conflicts=True)
    OnboardedAgent.objects.bulk_create(
        [
            OnboardedAgent(batch=batch, seen=row, agent=row.agent, wanted=wanted.get(key, ""))
            for key, row in rows.items()
        ]
    )
    reached = [(line.seen, line.system, line.last_used_at) for line in lines if line.system is not None]
    matches.workflows(reached, now=batch.made_at)


def plans(rows: Iterable[OnboardedAgent]) -> dict[int, Plan]:
    """Return for each agent of a batch the plan for its lines."""
    listed = list(rows)
    accesses: defaultdict[tuple[UUID, int], list[ExistingAccess]] = defaultdict(list)
    wanted = Q(batch__in={row.batch_id for row in listed}, seen__in={row.seen_id for row in listed})
    for access in ExistingAccess.objects.filter(wanted).select_related("system", "person", "group").order_by("pk"):
        accesses[access.batch_id, access.seen_id].append(access)
    result = {}
    for row in listed:
        lines = accesses[row.batch_id, row.seen_id]
        result[row.pk] = grants_actions.plan(lines, row.agent.kind if row.agent else kind_of(lines))
    grants_actions.read_members(result.values())
    return result


def kind_of(lines: Iterable[ExistingAccess]) -> str:
    """Return the kind of a new agent: shared when it acts for people, else a service agent."""
    return Agent.Kind.SHARED if any(line.person_name or line.group_name for line in lines) else Agent.Kind.SERVICE


@transaction.atomic
def confirm(batch: OnboardingBatch, *, by: Person, reason: str) -> Outcome:
    """Confirm what sponsors accepted: agents become active, and their listed lines become adopted grants.

    Where the plan is not the one that a sponsor accepted, nothing is adopted: they are asked again.
    Raises NotFound, ReasonRequired, NothingAccepted, OwnBenefit.
    """
    if not reason.strip():
        raise ReasonRequired
    locked = hold(batch)
    rows = list(agents_of(locked).filter(state=State.ACCEPTED).exclude(agent=None))
    locks.exclusive(*((Lock.AGENT, row.agent_id) for row in rows))
    rows = list(agents_of(locked).filter(pk__in=[row.pk for row in rows]))
    plans_by_row, stakes = plans(rows), Stakes()
    outcome = Outcome()
    for row in rows:
        row.problem = _unfit(row) or _obstacle(row, plans_by_row[row.pk], stakes, by)
        if row.problem == CHANGED:
            _ask_again(row, outcome)
        elif row.problem:
            row.save(update_fields=["problem"])
        else:
            _adopt(row, plans_by_row[row.pk], outcome, by=by, reason=reason)
    if not outcome.agents and not outcome.refused and any(row.problem == OwnBenefit.code for row in rows):
        raise OwnBenefit
    if not outcome.agents and not outcome.refused:
        raise NothingAccepted
    if not agents_of(locked).filter(state__in=[State.LISTED, State.ASKED, State.ACCEPTED]).exists():
        locked.state, locked.finished_at = Batch.DONE, clock.now()
        locked.save(update_fields=["state", "finished_at"])
    detail = {"agents": outcome.agents, "grants": outcome.grants, "refused": outcome.refused}
    log.record(Action.ONBOARDING_CONFIRMED, about=about(locked), by=by.principal, reason=reason, detail=detail)
    return outcome


def _unfit(row: OnboardedAgent) -> str:
    """Return why an accepted agent cannot be adopted now, or nothing."""
    agent = row.agent
    if agent is None or agent.status not in (Agent.Status.STAGED, Agent.Status.ACTIVE):
        return "agent_not_active"
    if agent.sponsor_id != row.sponsor_id or not agent.sponsor.is_active:
        return "sponsor_changed"
    return ""


def _obstacle(row: OnboardedAgent, plan: Plan, stakes: Stakes, by: Person) -> str:
    """Return why this person cannot adopt it, or that the plan has changed; or nothing."""
    if any(stakes.has(person, row.agent, plan) for person in (by, row.sponsor)):
        return OwnBenefit.code
    return "" if row.accepted == plan.digest() else CHANGED


def _ask_again(row: OnboardedAgent, outcome: Outcome) -> None:
    row.state, row.answered_at, row.accepted = State.ASKED, None, ""
    row.save(update_fields=["state", "answered_at", "accepted", "problem"])
    if row.agent is not None:
        outcome.refused[row.agent.slug] = [CHANGED]


def _adopt(row: OnboardedAgent, plan: Plan, outcome: Outcome, *, by: Person, reason: str) -> None:
    agent, now = row.agent, clock.now()
    if agent is None:
        raise NotFound
    known = Workflow.objects.filter(agent=agent, system__in=plan.systems, state=Workflow.State.KNOWN)
    known.filter(system__in={piece.entitlement.system_id for piece in plan.pieces}).update(
        state=Workflow.State.ADOPTED, changed_at=now, changed_by=str(by.principal), adopted_from=row.batch_id
    )
    if agent.status == Agent.Status.STAGED:
        agents.activate(agent, by=by.principal, reason=reason)
    grants, refused = grants_actions.adopt(row, agent, plan, by=by.principal, reason=reason)
    held = {grant.entitlement.system_id for grant in grants}
    Workflow.objects.filter(agent=agent, adopted_from=row.batch_id, state=Workflow.State.ADOPTED).exclude(
        system__in=held
    ).update(state=Workflow.State.KNOWN, adopted_from=None)
    row.state, row.adopted_by, row.problem = State.ADOPTED, str(by.principal), ""
    row.save(update_fields=["state", "adopted_by", "problem"])
    outcome.agents += 1
    outcome.grants += len(grants)
    if refused:
        outcome.refused[agent.slug] = sorted(set(refused))


def agents_of(batch: OnboardingBatch) -> QuerySet[OnboardedAgent]:
    """Return the agents of a batch, in the order of the file."""
    rows = OnboardedAgent.objects.filter(batch=batch)
    return rows.select_related("batch", "seen__agent__sponsor", "agent__sponsor", "sponsor").order_by("pk")


def hold(batch: OnboardingBatch) -> OnboardingBatch:
    """Lock a batch until the transaction ends, and return it as it is. Raises NotFound."""
    rows = OnboardingBatch.objects.select_for_update(of=("self",)).select_related("brought_by")
    if (row := rows.filter(pk=batch.pk).first()) is None:
        raise NotFound
    return row
