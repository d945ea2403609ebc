"""The verbs on a file of access that exists: look at it, ask sponsors, let them answer, adopt what they accepted.

Three people stand behind adopted access: who brought the file, the sponsor who accepted each agent with its lines, and
the analyst who says yes. Who brought it never accepts, and neither of the others is served by the agent or its owner.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog_files import offers
from entitlements.conflicts import independence
from entitlements.definitions import impressions
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import SeenAgent, Workflow
from governance.onboarding.models import AdoptedAgent, AdoptionBatch, SeenAccess
from governance.ownership import ownership
from governance.ownership.models import OfficeProposal

from . import files as files_actions
from . import grants as grants_actions
from . import matches
from .grants import Plan
from .stakes import Stakes

State, Batch = AdoptedAgent.State, AdoptionBatch.State
MOST_PROBLEMS: Final = 500
OPEN: Final = (State.LISTED, State.DECLINED)
CHANGED: Final = "changed_since_accepted"


class Empty(DomainError):
    """The file names no agent that could be adopted."""

    code, status = "adoption_empty", HTTPStatus.UNPROCESSABLE_ENTITY


class NothingToAsk(DomainError):
    """No agent of the file waits for a sponsor whom one could ask."""

    code, status = "adoption_nothing_to_ask", HTTPStatus.CONFLICT


class NotAsked(DomainError):
    """You are not asked to answer for an agent of this file."""

    code, status = "adoption_not_asked", HTTPStatus.FORBIDDEN


class NothingAccepted(DomainError):
    """No sponsor has accepted anything that is not adopted yet."""

    code, status = "adoption_nothing_accepted", HTTPStatus.CONFLICT


class OwnBenefit(Forbidden):
    """Nobody accepts or adopts access of an agent that acts for them or that they own; ask somebody else."""

    code = "adoption_own_benefit"


@dataclass(slots=True)
class Outcome:
    """What a confirmation did: the agents adopted, the grants made, what refused a grant, or sent an agent back."""

    agents: int = 0
    grants: int = 0
    refused: dict[str, list[str]] = field(default_factory=dict)


@transaction.atomic
def look_at(content: bytes, *, file_name: str, agent: str = "", by: Person) -> AdoptionBatch:
    """Read a file and keep what it says; nothing of it is in force. The same content again is the batch of before.

    `agent` names whose a client configuration is. Raises reading.NotReadable, reading.TooMuch, reading.AgentNotNamed,
    Empty.
    """
    digest = hashlib.sha256(content + b"\0" + agent.strip().encode()).hexdigest()
    locks.exclusive((Lock.REQUEST, f"adoption:{digest}"))
    if (before := AdoptionBatch.objects.filter(sha256=digest).first()) is not None:
        return before
    found = files_actions.read(content, agent=agent)
    if not found.sightings:
        raise Empty(problems=[problem.as_json() for problem in found.problems[:20]])
    now = clock.now()
    problems = [problem.as_json() for problem in found.problems]
    batch = AdoptionBatch.objects.create(
        source=found.source.value,
        file_name=impressions.visible(file_name)[:200],
        sha256=digest,
        size=len(content),
        lines_read=len(found.sightings),
        brought_by=by,
        made_at=now,
        problems=problems[:MOST_PROBLEMS],
        problems_left_out=max(0, len(problems) - MOST_PROBLEMS),
    )
    _keep(batch, found)
    detail = {"sha256": digest, "source": batch.source, "lines": batch.lines_read, "file_name": batch.file_name}
    counts = {"agents": batch.agents.count(), "refused": len(problems)}
    log.record(Action.ADOPTION_PREPARED, about=about(batch), by=by.principal, detail=detail | counts)
    return batch


def about(batch: AdoptionBatch) -> list[str]:
    """Return the links by which the record of a batch is found again."""
    return [f"adoption:{batch.pk}", f"person:{batch.brought_by.login}"]


def _keep(batch: AdoptionBatch, found: files_actions.Found) -> None:
    """Write what was read: agents that were seen, their lines, and where they are on the map."""
    rows = matches.agents(found.sightings, source=found.source, now=batch.made_at)
    known = matches.known(found.sightings)
    wanted: dict[str, str] = {}
    lines = []
    for each in found.sightings:
        key = files_actions.key_of(each.agent, each.client_id)
        wanted[key] = wanted.get(key) or each.sponsor
        system, because = known.system(each)
        lines.append(
            SeenAccess(
                batch=batch,
                row=each.row,
                seen=rows[key],
                system_name=each.system,
                system=system,
                because=because,
                tools=list(each.tools),
                person_name=each.person,
                person=known.people.get(each.person.casefold()),
                group_name=each.group,
                group=known.groups.get(each.group),
                last_used_at=each.last_used and min(each.last_used, batch.made_at),
                calls=each.calls,
            )
        )
    SeenAccess.objects.bulk_create(lines, batch_size=2000, ignore_conflicts=True)
    AdoptedAgent.objects.bulk_create(
        [AdoptedAgent(batch=batch, seen=row, agent=row.agent, wanted=wanted.get(key, "")) for key, row in rows.items()]
    )
    reached = [(line.seen, line.system, line.last_used_at) for line in lines if line.system is not None]
    matches.workflows(reached, now=batch.made_at)


def plans(rows: Iterable[AdoptedAgent]) -> dict[int, Plan]:
    """Say for each agent of a batch what would be made of its lines."""
    listed = list(rows)
    accesses: defaultdict[tuple[UUID, int], list[SeenAccess]] = defaultdict(list)
    wanted = Q(batch__in={row.batch_id for row in listed}, seen__in={row.seen_id for row in listed})
    for access in SeenAccess.objects.filter(wanted).select_related("system", "person", "group").order_by("pk"):
        accesses[access.batch_id, access.seen_id].append(access)
    found = {}
    for row in listed:
        lines = accesses[row.batch_id, row.seen_id]
        found[row.pk] = grants_actions.plan(lines, row.agent.kind if row.agent else _kind(lines))
    grants_actions.read_members(found.values())
    return found


def _kind(lines: Iterable[SeenAccess]) -> str:
    """Say what an agent is that is new: shared when it acts for people, else one that acts on its own."""
    return Agent.Kind.SHARED if any(line.person_name or line.group_name for line in lines) else Agent.Kind.SERVICE


@transaction.atomic
def ask(
    batch: AdoptionBatch, *, sponsor: Person | None, each: Mapping[int, Person], by: Person, reason: str
) -> list[AdoptedAgent]:
    """Ask sponsors to answer for the agents of a batch: one for all, or one by agent, else whom the file names.

    An agent that is new is made, not in use yet, under the analyst who asks, until its sponsor accepts. One of ours
    keeps its sponsor, who is asked. Raises NotFound, ReasonRequired, NothingToAsk.
    """
    if not reason.strip():
        raise ReasonRequired
    locked = _locked(batch)
    rows = list(
        _rows(locked).filter(state__in=OPEN, seen__state__in=[SeenAgent.State.UNMATCHED, SeenAgent.State.MATCHED])
    )
    named = matches.people(row.wanted for row in rows)
    asked, made, stakes = [], plans(rows), Stakes()
    for row in rows:
        person = each.get(row.pk) or named.get(row.wanted.casefold()) or sponsor
        row.agent = row.agent or row.seen.agent
        if row.agent is not None and row.agent.status != Agent.Status.STAGED:
            person = row.agent.sponsor
        row.problem = OwnBenefit.code if stakes.has(person, row.agent, made[row.pk]) else ""
        row.problem = row.problem or _ask_one(row, person, by=by, reason=reason)
        if not row.problem:
            asked.append(row)
        row.save(update_fields=["agent", "sponsor", "state", "problem", "answered_at"])
    if not asked:
        raise NothingToAsk(problems=sorted({row.problem for row in rows if row.problem}))
    locked.state = Batch.ASKED
    locked.finished_at = None
    locked.save(update_fields=["state", "finished_at"])
    links = {f"person:{row.sponsor.login}" for row in asked if row.sponsor}
    detail = {"agents": len(asked), "not_asked": len(rows) - len(asked)}
    log.record(
        Action.ADOPTION_SPONSORS_ASKED, about=[*about(locked), *links], by=by.principal, reason=reason, detail=detail
    )
    return asked


def _ask_one(row: AdoptedAgent, person: Person | None, *, by: Person, reason: str) -> str:
    """Ask for one agent; returns why nobody was asked, or nothing."""
    if person is None:
        return "sponsor_missing"
    if not person.is_active:
        return "sponsor_disabled"
    if independence.same_human(row.batch.brought_by, person):
        return "sponsor_brought_it"
    if independence.same_human(by, person) and (row.agent is None or row.agent.status == Agent.Status.STAGED):
        return "own_appointment"
    try:
        with transaction.atomic():
            if row.agent is None:
                row.agent = _stage(row, by=by, reason=reason)
            if row.agent.sponsor_id != person.pk:
                ownership.propose(row.agent, "sponsor", person, by=by.principal, reason=reason)
    except DomainError as why:
        return why.code
    row.sponsor, row.state, row.answered_at = person, State.ASKED, None
    return ""


def _stage(row: AdoptedAgent, *, by: Person, reason: str) -> Agent:
    """Make an agent of what was seen: not in use, under whoever asks."""
    base = offers.slug_of(row.seen.name)[:56] or "agent"
    taken = set(Agent.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    slug = next(name for name in [base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))] if name not in taken)
    lines = SeenAccess.objects.filter(batch=row.batch, seen=row.seen)
    made = agents.register(
        slug,
        name=row.seen.name,
        kind=_kind(lines),
        sponsor=by,
        owner=None,
        purpose=f"Adopted from {row.batch.file_name}."[:500],
        staged=True,
        by=by.principal,
    )
    unmanaged_agents.match(row.seen, made, by=by.principal, reason=reason, because="adopted")
    row.seen.refresh_from_db()
    return made


@transaction.atomic
def answer(
    batch: AdoptionBatch, *, accept: bool, only: Iterable[int] | None = None, by: Person, reason: str = ""
) -> list[AdoptedAgent]:
    """Accept or decline to answer for one's agents of a batch, all or `only` some. A refusal needs a reason.

    Accepting takes the office of sponsor where it is new, and agrees to what the agent is to keep. Raises NotFound,
    ReasonRequired, NotAsked, OwnBenefit for whoever accepts what serves them, and what `ownership.accept` raises.
    """
    if not accept and not reason.strip():
        raise ReasonRequired
    locked = _locked(batch)
    rows = list(
        _rows(locked).filter(state=State.ASKED, sponsor=by).filter(**({} if only is None else {"pk__in": list(only)}))
    )
    if not rows or not by.is_active or independence.same_human(locked.brought_by, by):
        raise NotAsked
    made, stakes = plans(rows), Stakes()
    if accept and any(stakes.has(by, row.agent, made[row.pk]) for row in rows):
        raise OwnBenefit
    for row in rows:
        waiting = OfficeProposal.objects.filter(
            agent=row.agent, office="sponsor", person=by, state=OfficeProposal.State.WAITING
        ).first()
        if waiting is not None and accept:
            ownership.accept(waiting.pk, by=by)
        elif waiting is not None:
            ownership.decline(waiting.pk, by=by, reason=reason)
        row.state, row.answered_at = State.ACCEPTED if accept else State.DECLINED, clock.now()
        row.accepted, row.problem = made[row.pk].digest() if accept else "", ""
        row.save(update_fields=["state", "answered_at", "accepted", "problem"])
    links = [f"agent:{row.agent.slug}" for row in rows[:200] if row.agent]
    detail = {"answer": "accepted" if accept else "declined", "agents": len(rows)}
    log.record(Action.ADOPTION_ANSWERED, about=[*about(locked), *links], by=by.principal, reason=reason, detail=detail)
    return rows


@transaction.atomic
def confirm(batch: AdoptionBatch, *, by: Person, reason: str) -> Outcome:
    """Say yes to what sponsors accepted: agents come into use, and their listed lines become adopted grants.

    Where something else would be made than what a sponsor accepted, nothing is: they are asked anew.
    Raises NotFound, ReasonRequired, NothingAccepted, OwnBenefit.
    """
    if not reason.strip():
        raise ReasonRequired
    locked = _locked(batch)
    rows = list(_rows(locked).filter(state=State.ACCEPTED).exclude(agent=None))
    locks.exclusive(*((Lock.AGENT, row.agent_id) for row in rows))
    rows = list(_rows(locked).filter(pk__in=[row.pk for row in rows]))
    made, stakes = plans(rows), Stakes()
    outcome = Outcome()
    for row in rows:
        row.problem = _unfit(row) or _stands_against(row, made[row.pk], stakes, by)
        if row.problem == CHANGED:
            _ask_anew(row, outcome)
        elif row.problem:
            row.save(update_fields=["problem"])
        else:
            _adopt(row, made[row.pk], outcome, by=by, reason=reason)
    if not outcome.agents and not outcome.refused and any(row.problem == OwnBenefit.code for row in rows):
        raise OwnBenefit
    if not outcome.agents and not outcome.refused:
        raise NothingAccepted
    if not _rows(locked).filter(state__in=[State.LISTED, State.ASKED, State.ACCEPTED]).exists():
        locked.state, locked.finished_at = Batch.DONE, clock.now()
        locked.save(update_fields=["state", "finished_at"])
    detail = {"agents": outcome.agents, "grants": outcome.grants, "refused": outcome.refused}
    log.record(Action.ADOPTION_CONFIRMED, about=about(locked), by=by.principal, reason=reason, detail=detail)
    return outcome


def _unfit(row: AdoptedAgent) -> str:
    """Say why an agent that was accepted cannot be adopted now, or nothing."""
    agent = row.agent
    if agent is None or agent.status not in (Agent.Status.STAGED, Agent.Status.ACTIVE):
        return "agent_not_active"
    if agent.sponsor_id != row.sponsor_id or not agent.sponsor.is_active:
        return "sponsor_changed"
    return ""


def _stands_against(row: AdoptedAgent, made: Plan, stakes: Stakes, by: Person) -> str:
    """Say why what was accepted is not adopted by this person, or not as it was accepted; or nothing."""
    if any(stakes.has(person, row.agent, made) for person in (by, row.sponsor)):
        return OwnBenefit.code
    return "" if row.accepted == made.digest() else CHANGED


def _ask_anew(row: AdoptedAgent, outcome: Outcome) -> None:
    row.state, row.answered_at, row.accepted = State.ASKED, None, ""
    row.save(update_fields=["state", "answered_at", "accepted", "problem"])
    if row.agent is not None:
        outcome.refused[row.agent.slug] = [CHANGED]


def _adopt(row: AdoptedAgent, made: Plan, outcome: Outcome, *, by: Person, reason: str) -> None:
    agent, now = row.agent, clock.now()
    if agent is None:
        raise NotFound
    known = Workflow.objects.filter(agent=agent, system__in=made.systems, state=Workflow.State.KNOWN)
    with_grants = {piece.entitlement.system_id for piece in made.pieces}
    known.filter(system__in=with_grants).update(
        state=Workflow.State.ADOPTED, changed_at=now, changed_by=str(by.principal), adopted_from=row.batch_id
    )
    if agent.status == Agent.Status.STAGED:
        agents.activate(agent, by=by.principal, reason=reason)
    grants, refused = grants_actions.adopt(row, agent, made, by=by.principal, reason=reason)
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


def _rows(batch: AdoptionBatch) -> QuerySet[AdoptedAgent]:
    rows = AdoptedAgent.objects.filter(batch=batch)
    return rows.select_related("batch", "seen__agent__sponsor", "agent__sponsor", "sponsor").order_by("pk")


def _locked(batch: AdoptionBatch) -> AdoptionBatch:
    found = (
        AdoptionBatch.objects.select_for_update(of=("self",)).select_related("brought_by").filter(pk=batch.pk).first()
    )
    if found is None:
        raise NotFound
    return found
