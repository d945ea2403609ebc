"""Actions that move access to the governed path, and back: cut over, roll back."""

from __future__ import annotations

from http import HTTPStatus

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import Workflow
from governance.onboarding.models import OnboardedAgent

State, Origin = Workflow.State, Workflow.Origin


class NothingToMove(DomainError):
    """The agent has no onboarded access there that could be moved, or moved back."""

    code, status = "onboarding_nothing_to_move", HTTPStatus.CONFLICT


class NoGovernedPath(DomainError):
    """The system has no address behind the gateway yet, so there is no governed path to it."""

    code, status = "onboarding_no_governed_path", HTTPStatus.CONFLICT


@transaction.atomic
def cut_over(agent: Agent, system: System | None = None, *, by: Person, reason: str) -> list[Workflow]:
    """Say that an agent goes by the governed path now, at one system or all where its access was adopted.

    Raises ReasonRequired, NotFound, NothingToMove, NoGovernedPath.
    """
    locked, adopted = _adopted(agent, system, reason, State.ADOPTED)
    moved = list(adopted)
    if not moved:
        raise NothingToMove
    served = (*System.SERVED, System.Kind.MCP)
    if without := [row.system.slug for row in moved if row.system.kind not in served]:
        raise NoGovernedPath(systems=without)
    at = [row.system_id for row in moved]
    Workflow.objects.filter(agent=locked, origin=Origin.GRANT, system__in=at).delete()  # it is the same one now
    _set(moved, State.GOVERNED, by)
    _record(Action.PATH_CUT_OVER, locked, moved, by=by, reason=reason)
    return moved


@transaction.atomic
def roll_back(agent: Agent, *, by: Person, reason: str) -> list[Grant]:
    """Undo an adoption: its grants end, the paths are known and not governed again; an agent made by it is suspended.

    Raises ReasonRequired, NotFound, NothingToMove.
    """
    locked, adopted = _adopted(agent, None, reason, State.ADOPTED, State.GOVERNED)
    moved = list(adopted)
    held = list(Grant.objects.filter(agent=locked, ended_at=None).exclude(adopted_from=None).order_by("pk"))
    if not moved and not held:
        raise NothingToMove
    ended = [grants.revoke(grant.pk, by=by.principal, reason=reason) for grant in held]
    _set(moved, State.KNOWN, by)
    rows = OnboardedAgent.objects.filter(agent=locked, state=OnboardedAgent.State.ADOPTED)
    is_new = rows.filter(seen__because="adopted").exists()
    rows.update(state=OnboardedAgent.State.RETURNED)
    if is_new and locked.status == Agent.Status.ACTIVE:
        agents.suspend(locked, by=by.principal, reason=reason)
    _record(
        Action.ONBOARDING_ROLLED_BACK,
        locked,
        moved,
        by=by,
        reason=reason,
        grants=[str(revoked.pk) for revoked in ended],
    )
    return ended


def _adopted(agent: Agent, system: System | None, reason: str, *states: str) -> tuple[Agent, QuerySet[Workflow]]:
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.AGENT, agent.pk))
    locked = Agent.objects.select_related("sponsor", "owner").filter(pk=agent.pk).first()
    if locked is None:
        raise NotFound
    rows = Workflow.objects.filter(agent=locked, origin=Origin.SEEN, state__in=states).exclude(adopted_from=None)
    return locked, (rows if system is None else rows.filter(system=system)).select_related("system").order_by("pk")


def _set(rows: list[Workflow], state: str, by: Person) -> None:
    for row in rows:
        row.state, row.changed_at, row.changed_by = state, clock.now(), str(by.principal)
        row.save(update_fields=["state", "changed_at", "changed_by"])


def _record(action: Action, agent: Agent, rows: list[Workflow], *, by: Person, reason: str, **detail: object) -> None:
    batches = {f"adoption:{row.adopted_from}" for row in rows}
    links = [f"agent:{agent.slug}", *(f"system:{row.system.slug}" for row in rows), *sorted(batches)]
    systems = [row.system.slug for row in rows]
    log.record(action, about=links, by=by.principal, reason=reason, detail={"systems": systems, **detail})
