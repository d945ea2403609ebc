"""Planting a decoy, and ending it: one person of security does either, since a decoy neither gives nor takes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.definitions import definitions
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.people.models import Person, Role
from entitlements.upstream import mcp_headers
from entitlements.words import REQUEST_ACCESS_TOOL

from .models import Decoy, DecoyAgent

MOST_AGENTS: Final = 100
ROLES: Final = (Role.ANALYST, Role.SECURITY)
"""Who plants, sees and ends decoys."""
TAKEN: Final = "The system has a tool of this name now."


class DecoyNameTaken(DomainError):
    """A tool has this name, or another decoy in force. Choose another name."""

    code, status = "decoy_name_taken", HTTPStatus.CONFLICT


class DecoyTargetUnusable(DomainError):
    """A decoy stands beside an approved tool of a system behind the gateway. Choose such a tool."""

    code, status = "decoy_target_unusable", HTTPStatus.UNPROCESSABLE_ENTITY


class DecoyAgentsInvalid(DomainError):
    """Name one to a hundred agents that are not retired."""

    code, status = "decoy_agents_invalid", HTTPStatus.UNPROCESSABLE_ENTITY


class DecoyOver(DomainError):
    """The decoy was ended before."""

    code, status = "decoy_over", HTTPStatus.CONFLICT


@transaction.atomic
def plant_tool(
    name: str,
    *,
    beside: str,
    description: str,
    answer: str,
    agents: Sequence[str],
    by: Person,
    reason: str,
    input_schema: Mapping[str, Any] | None = None,
) -> Decoy:
    """List a tool that is none to some agents, wherever `beside` (`<system>/<tool>`) is listed to them.

    Its definition is made as that of its neighbour: with the same members, and without `input_schema` the same
    arguments. A call is answered as a failure that says `answer`. Raises Forbidden, ReasonRequired,
    DecoyTargetUnusable, DecoyNameTaken, DecoyAgentsInvalid, DefinitionMalformed.
    """
    _check(by, reason)
    neighbour, chosen = _neighbour(beside), _agents(agents)
    definition = _definition(neighbour, name, description, input_schema)
    _hold(chosen)
    if name == REQUEST_ACCESS_TOOL or Tool.objects.filter(system=neighbour.system, name=name).exists():
        raise DecoyNameTaken(name=name)
    row = Decoy(
        name=name,
        system=neighbour.system,
        beside=neighbour,
        definition=definition,
        answer=answer,
    )
    return _plant(row, chosen, by, reason)


@transaction.atomic
def end(key: uuid.UUID, *, by: Person, reason: str) -> Decoy:
    """End a decoy: no agent is shown it any more. What touched it stays.

    Raises Forbidden, ReasonRequired, NotFound, DecoyOver.
    """
    _check(by, reason)
    return _end(key, by.principal, reason)


@transaction.atomic
def end_taken(key: uuid.UUID) -> Decoy:
    """End a decoy whose name a tool of the system has by now. Raises NotFound, DecoyOver."""
    return _end(key, SYSTEM, TAKEN)


def about(row: Decoy) -> list[str]:
    """Return the links by which the record of a decoy is found again."""
    return [f"decoy:{row.pk}"]


def _end(key: uuid.UUID, by: Principal, reason: str) -> Decoy:
    planted_for = list(Agent.objects.filter(pk__in=DecoyAgent.objects.filter(decoy=key).values("agent")))
    _hold(planted_for)
    row = Decoy.objects.select_related("system", "beside", "planted_by").filter(pk=key).first()
    if row is None:
        raise NotFound
    if row.ended_at is not None:
        raise DecoyOver
    row.ended_at, row.end_reason = clock.now(), reason
    row.save(update_fields=["ended_at", "end_reason"])
    _note(planted_for)
    log.record(Action.DECOY_ENDED, about=about(row), by=by, reason=reason, detail={"name": row.name})
    return row


def _check(by: Person, reason: str) -> None:
    if not by.has_role(*ROLES):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _neighbour(named: str) -> Tool:
    slug, _, name = named.partition("/")
    rows = Tool.objects.select_related("system", "approved").filter(system__slug=slug, name=name, state="approved")
    tool = rows.filter(system__kind__in=System.SERVED).first()
    if tool is None:
        raise DecoyTargetUnusable
    return tool


def _agents(slugs: Sequence[str]) -> list[Agent]:
    wanted = set(slugs)
    rows = list(Agent.objects.filter(slug__in=wanted).exclude(status=Agent.Status.RETIRED).order_by("pk"))
    if not 0 < len(wanted) <= MOST_AGENTS or len(rows) != len(wanted):
        raise DecoyAgentsInvalid
    return rows


def _definition(neighbour: Tool, name: str, description: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a definition that has the members of the neighbour's, so that the list does not tell them apart."""
    assert neighbour.approved is not None  # noqa: S101 - for the type checker: it is approved
    made = definitions.reviewed(neighbour.approved.definition)
    made |= {"name": name, "inputSchema": made["inputSchema"] if schema is None else dict(schema)}
    title = name.replace("_", " ").replace("-", " ").capitalize()
    if "title" in made:
        made["title"] = title
    if "title" in made.get("annotations", {}):
        made["annotations"] = {**made["annotations"], "title": title}
    if "description" in made:
        made["description"] = description
    definitions.check(made)
    if mcp_headers.annotated(made["inputSchema"]) is None:
        raise definitions.DefinitionMalformed("The input schema names headers that no client could send.", tool=name)
    return made


def _hold(agents: Sequence[Agent]) -> None:
    locks.exclusive(*(subject.lock for subject in map(_subject, agents) if subject.lock is not None))


def _note(agents: Sequence[Agent]) -> None:
    named = [_subject(agent) for agent in agents]
    changes.note_many(named, of=named)


def _subject(agent: Agent) -> subjects.Subject:
    return subjects.agent(agent.pk)


def _plant(row: Decoy, agents: Sequence[Agent], by: Person, reason: str) -> Decoy:
    row.planted_by, row.planted_at, row.reason = by, clock.now(), reason
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise DecoyNameTaken(name=row.name) from error
    DecoyAgent.objects.bulk_create([DecoyAgent(decoy=row, agent=agent) for agent in agents])
    _note(agents)
    links = [*about(row), *(f"agent:{agent.slug}" for agent in agents)]
    detail = {"name": row.name, "system": row.system.slug, "beside": row.beside.name}
    log.record(Action.DECOY_PLANTED, about=links, by=by.principal, reason=reason, detail=detail)
    return row
