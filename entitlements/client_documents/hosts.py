"""Actions on hosts whose clients people sign in to by their own consent: propose, confirm, withdraw, end."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.agents.models import Agent
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import clients, metadata
from entitlements.clients.models import Client
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role

from . import documents

MAY: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
"""Who proposes a host, and ends one."""
_State = ClientHost.State


class BadHost(DomainError):
    """A host is a name in small letters with a dot, such as app.example.com, with a port only where it needs one."""

    code, status = "client_host_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class AlreadyProposed(DomainError):
    """The host is allowed or proposed already. End or withdraw that first."""

    code, status = "client_host_proposed_already", HTTPStatus.CONFLICT


class NotOpen(DomainError):
    """The host is not in the state that this needs: it was confirmed, withdrawn or ended before."""

    code, status = "client_host_not_open", HTTPStatus.CONFLICT


class ProposedByOwnAccount(Forbidden):
    """You proposed this host, so another person confirms it."""

    code = "client_host_proposed_by_own_account"


class NotResponsible(Forbidden):
    """You cannot confirm this host: you are not sponsor, technical owner or backup owner of the agent."""

    code = "not_responsible_for_agent"


class AdminRoleNeeded(Forbidden):
    """You cannot confirm this host: for personal agents a platform admin or security approver confirms it."""

    code = "client_host_needs_admin_role"


@transaction.atomic
def propose(
    host: str, *, agent: Agent | None, serves: str = Client.Serves.OWN_AGENT, by: Person, reason: str
) -> ClientHost:
    """Propose that people may sign in to each client of a host by their own consent.

    Its clients join the shared agent, or serve personal agents, without one. Raises Forbidden, ReasonRequired, BadHost,
    NotShared, clients.ServesPersonalAgents, AlreadyProposed.
    """
    _check(by, reason)
    parts = metadata.parts_of(f"https://{host}/")
    if parts is None or parts.netloc != host or host != host.lower() or "." not in (parts.hostname or ""):
        raise BadHost
    documents.check_agent(serves, agent)
    locks.exclusive((Lock.REQUEST, f"client-host:{host}"))
    try:
        with transaction.atomic():
            row = ClientHost.objects.create(
                host=host, serves=serves, agent=agent, reason=reason, proposed_by=by, proposed_at=clock.now()
            )
    except IntegrityError as error:
        raise AlreadyProposed from error
    _record(Action.CLIENT_HOST_PROPOSED, row, by, reason)
    return row


@transaction.atomic
def confirm(host_id: UUID, *, by: Person) -> ClientHost:
    """Put a host in force, and so accept its clients. What waits for an analyst because of it is free.

    Raises NotFound, NotOpen, NotResponsible, AdminRoleNeeded, ProposedByOwnAccount.
    """
    row = _held(host_id, _State.PROPOSED)
    if not documents.may_confirm(row, by):
        raise AdminRoleNeeded if row.agent is None else NotResponsible
    lapse = partial(withdraw, host_id)
    independence.check_second(
        row.proposed_by, by, still_may=lambda who: who.has_role(*MAY), own=ProposedByOwnAccount, lapse=lapse
    )
    row.state, row.confirmed_by, row.confirmed_at = _State.IN_FORCE, by, clock.now()
    row.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    waiting = ClientDocument.objects.filter(host=row.host, state=ClientDocument.State.WAITING)
    made = Client.objects.filter(client_id__in=waiting.values("client_id")).values("client_id")
    waiting.exclude(client_id__in=made).update(state=ClientDocument.State.READ, asked_at=None, tried_by=[])
    _record(Action.CLIENT_HOST_ALLOWED, row, by, row.reason)
    return row


@transaction.atomic
def withdraw(host_id: UUID, *, by: Person, reason: str) -> ClientHost:
    """Drop a proposal. Raises Forbidden, ReasonRequired, NotFound, NotOpen."""
    _check(by, reason)
    row = _held(host_id, _State.PROPOSED)
    _end(row, _State.WITHDRAWN, reason)
    _record(Action.CLIENT_HOST_WITHDRAWN, row, by, reason)
    return row


@transaction.atomic
def end(host_id: UUID, *, by: Person, reason: str) -> ClientHost:
    """Allow a host no longer: its clients are disabled with all their sign-ins, and the next sign-in asks an analyst.

    Raises Forbidden, ReasonRequired, NotFound, NotOpen.
    """
    if not reason.strip():
        raise ReasonRequired
    row = _held(host_id, _State.IN_FORCE)
    if not by.has_role(*MAY) and not documents.may_confirm(row, by):
        raise Forbidden
    _end(row, _State.ENDED, reason)
    _record(Action.CLIENT_HOST_ENDED, row, by, reason)
    joined = ClientDocument.objects.filter(host=row.host, state=ClientDocument.State.READ).values("client_id")
    for client in Client.objects.filter(client_id__in=joined, status=Client.Status.ACTIVE).order_by("pk"):
        clients.disable(client, by=by.principal, reason=reason)
    return row


def about(row: ClientHost) -> list[str]:
    """Return the links by which the record of a host is found again."""
    return [f"client_host:{row.host}", *([f"agent:{row.agent.slug}"] if row.agent else [])]


def _check(by: Person, reason: str) -> None:
    if not by.has_role(*MAY):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


def _held(host_id: UUID, state: str) -> ClientHost:
    seen = ClientHost.objects.filter(pk=host_id).first()
    if seen is None:
        raise NotFound
    if seen.agent_id is not None:
        locks.shared([(Lock.AGENT, seen.agent_id)])
    locks.exclusive((Lock.REQUEST, f"client-host:{seen.host}"))
    rows = ClientHost.objects.select_related("agent__sponsor", "agent__owner", "agent__backup", "proposed_by")
    row = rows.get(pk=host_id)
    if row.state != state:
        raise NotOpen(state=row.state)
    return row


def _end(row: ClientHost, state: str, reason: str) -> None:
    row.state, row.ended_at, row.end_reason = state, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])


def _record(action: Action, row: ClientHost, by: Person, reason: str) -> None:
    detail = {"proposed_by": row.proposed_by.login, "serves": row.serves}
    log.record(action, about=about(row), by=by.principal, reason=reason, detail=detail)
