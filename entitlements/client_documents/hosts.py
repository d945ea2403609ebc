"""Actions on hosts whose clients people sign in to by their own consent: propose, confirm, withdraw, end."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from audit.actions import Action
from entitlements.agents.models import Agent
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import clients, metadata
from entitlements.clients.models import Client
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.proposals.in_force import PROPOSERS, LastingKind, State, may

from . import documents


class BadHost(DomainError):
    """A host is a name in small letters with a dot, such as app.example.com, with a port only where it needs one."""

    code, status = "client_host_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class NotResponsible(Forbidden):
    """You cannot confirm this host: you are not sponsor, technical owner or backup owner of the agent."""

    code = "not_responsible_for_agent"


class AdminRoleNeeded(Forbidden):
    """You cannot confirm this host: for personal agents a platform admin or security approver confirms it."""

    code = "client_host_needs_admin_role"


def propose(
    host: str, *, agent: Agent | None, serves: str = Client.Serves.OWN_AGENT, by: Person, reason: str
) -> ClientHost:
    """Propose that people may sign in to each client of a host by their own consent.

    Its clients join the shared agent, or serve personal agents, without one. Raises BadHost, NotShared,
    clients.ServesPersonalAgents, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    parts = metadata.parts_of(f"https://{host}/")
    if parts is None or parts.netloc != host or host != host.lower() or "." not in (parts.hostname or ""):
        raise BadHost
    documents.check_agent(serves, agent)
    return KIND.propose(ClientHost(host=host, serves=serves, agent=agent), by=by, reason=reason)


def _check(row: ClientHost, by: Person) -> None:
    if not documents.may_confirm(row, by):
        raise AdminRoleNeeded if row.agent is None else NotResponsible


def _follow(row: ClientHost, by: Person) -> None:
    """Free what waits for an analyst because of a host, or disable its clients: the next sign-in asks an analyst."""
    of_host = ClientDocument.objects.filter(host=row.host)
    if row.state == State.IN_FORCE:
        waiting = of_host.filter(state=ClientDocument.State.WAITING)
        made = Client.objects.filter(client_id__in=waiting.values("client_id")).values("client_id")
        waiting.exclude(client_id__in=made).update(state=ClientDocument.State.READ, asked_at=None, tried_by=[])
        return
    if not by.has_role(*PROPOSERS) and not documents.may_confirm(row, by):
        raise Forbidden
    joined = of_host.filter(state=ClientDocument.State.READ).values("client_id")
    for client in Client.objects.filter(client_id__in=joined, status=Client.Status.ACTIVE).order_by("pk"):
        clients.disable(client, by=by.principal, reason=row.end_reason)


def _hold(row: ClientHost) -> None:
    if row.agent_id is not None:
        locks.shared([(Lock.AGENT, row.agent_id)])
    locks.exclusive((Lock.REQUEST, f"client-host:{row.host}"))


KIND: Final = LastingKind(
    name="client_host",
    noun="host",
    model=ClientHost,
    subject=("host",),
    related=("agent__sponsor", "agent__owner", "agent__backup"),
    events={
        State.PROPOSED: Action.CLIENT_HOST_PROPOSED,
        State.IN_FORCE: Action.CLIENT_HOST_ALLOWED,
        State.WITHDRAWN: Action.CLIENT_HOST_WITHDRAWN,
        State.ENDED: Action.CLIENT_HOST_ENDED,
    },
    hold=_hold,
    about=lambda row: [f"client_host:{row.host}", *([f"agent:{row.agent.slug}"] if row.agent else [])],
    detail=lambda row: {"proposed_by": row.proposed_by.login, "serves": row.serves},
    check=_check,
    follow=_follow,
    confirmers=None,
    enders=None,
    codes={"over": "client_host_not_open", "unchanged": ""},
    waits="The host is allowed or proposed already. End or withdraw that first.",
)
