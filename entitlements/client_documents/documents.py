"""Actions on metadata documents: keep what was read, store one by hand, approve or refuse a client that waits."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import clients, credentials
from entitlements.clients.models import Client, ClientCredential
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role

from . import fetch, rules
from .fetch import ReadDocument

CHANGED: Final = "Its metadata document names other keys or other redirect hosts."
_State = ClientDocument.State


class NotWaiting(DomainError):
    """The client does not wait for a decision: it was decided, or its host is allowed."""

    code, status = "client_document_not_waiting", HTTPStatus.CONFLICT


class NotShared(DomainError):
    """Clients that describe themselves join an agent that many people share. Choose an active shared agent."""

    code, status = "client_document_agent_not_shared", HTTPStatus.CONFLICT


class ServesOtherwise(DomainError):
    """The client is registered already, for a shared agent or for personal agents. Choose the same."""

    code, status = "client_serves_otherwise", HTTPStatus.CONFLICT


def check_agent(serves: str, agent: Agent | None) -> None:
    """Check which agent the clients of a policy act through: a shared one that is in use, or each person's own.

    Raises NotShared, clients.ServesPersonalAgents.
    """
    if serves == Client.Serves.PERSONAL_AGENTS:
        if agent is not None:
            raise clients.ServesPersonalAgents
        return
    fresh = Agent.objects.filter(pk=agent.pk).first() if agent is not None else None
    if fresh is None or fresh.kind != Agent.Kind.SHARED or fresh.status != Agent.Status.ACTIVE:
        raise NotShared


def share_agents(client_id: str) -> None:
    """Share the locks of the agents that a client belongs to or may join: they come before that of its identifier."""
    own = Client.objects.filter(client_id=client_id).values_list("agent_id", flat=True)
    allowed = ClientHost.objects.filter(host=rules.host(client_id), state=ClientHost.State.IN_FORCE)
    agents = {pk for pk in [*own, *allowed.values_list("agent_id", flat=True)] if pk is not None}
    locks.shared([(Lock.AGENT, pk) for pk in sorted(agents)])


def held(client_id: str) -> ClientDocument | None:
    """Return the document of a client, held alone until the end of the transaction."""
    clients.lock_identifier(client_id)
    rows = ClientDocument.objects.select_related("agent", "stored_by")
    return rows.filter(client_id=client_id).first()


def policy_of(document: ClientDocument) -> ClientHost | None:
    """Return the policy that allows the document's host, while who confirmed it still may confirm it."""
    rows = ClientHost.objects.select_related(
        "agent__sponsor", "agent__owner", "agent__backup", "proposed_by", "confirmed_by"
    )
    policy = rows.filter(host=document.host, state=ClientHost.State.IN_FORCE).first()
    return policy if policy is not None and may_confirm(policy, policy.confirmed_by) else None


def may_confirm(policy: ClientHost, person: Person | None) -> bool:
    """Whether a person may accept the clients of a host: for its shared agent, or for personal agents by admin role."""
    if person is None:
        return False
    if policy.agent is None:
        return person.is_active and person.has_role(*ClientHost.CONFIRMERS)
    return person in credentials.responsible(policy.agent)


def keep(client_id: str, read: ReadDocument, *, stored_by: Person | None = None) -> ClientDocument:
    """Keep what was read, in the running transaction under the identifier's lock, and take over what changed.

    Other keys or redirect hosts end the client's sign-ins; without a policy for its host it waits for an analyst again.
    """
    now = clock.now()
    document = held(client_id)
    if document is None:
        return ClientDocument.objects.create(
            client_id=client_id,
            host=rules.host(client_id),
            document=read.document,
            jwks=read.jwks,
            fetched_at=now,
            fresh_until=now + read.kept_for,
            stored_by=stored_by,
        )
    before, keys_before = rules.read(client_id, document.document), document.jwks
    is_changed = (document.document, keys_before) != (read.document, read.jwks)
    document.document, document.jwks, document.stored_by = read.document, read.jwks, stored_by
    document.fetched_at, document.fresh_until = now, now + read.kept_for
    document.save(update_fields=["document", "jwks", "stored_by", "fetched_at", "fresh_until"])
    if is_changed:
        _change(document, is_same=rules.is_same_client(before, keys_before, read.metadata, read.jwks))
    return document


def _change(document: ClientDocument, *, is_same: bool) -> None:
    """Let a client be what its changed document says, or stop it until that is approved."""
    client = Client.objects.select_related("agent").filter(client_id=document.client_id).first()
    if client is None:
        if not is_same and document.state in (_State.APPROVED, _State.REFUSED):
            _ask_again(document)
        return
    wanted, policy = described(document, client.agent), policy_of(document)
    if policy is not None and policy.agent_id != client.agent_id:
        policy = None  # it was confirmed for other agents
    acceptor = policy.confirmed_by if policy is not None else _acceptor(document, client)
    must_wait = acceptor is None or (not is_same and policy is None)
    if not is_same:
        clients.end_changed(client, disables=must_wait, by=SYSTEM, reason=CHANGED)
    if acceptor is None or must_wait:
        detail = {"redirect_uris": wanted.redirect_uris, "auth": wanted.auth, "is_same": is_same}
        log.record(Action.CLIENT_DOCUMENT_CHANGED, about=about(document), by=SYSTEM, reason=CHANGED, detail=detail)
        _ask_again(document)
        return
    if client.agent is not None:
        accept_for(wanted, acceptor)
    clients.put_in_force(wanted, by=SYSTEM)


def _ask_again(document: ClientDocument) -> None:
    document.state, document.tried_by, document.asked_at = _State.WAITING, [], clock.now()
    document.decided_by = document.decided_at = None
    document.save(update_fields=["state", "tried_by", "asked_at", "decided_by", "decided_at"])


def _acceptor(document: ClientDocument, client: Client) -> Person | None:
    """Return who accepts small changes of a client without a policy: who accepted it, and still may.

    A client of personal agents was accepted by the analyst who approved it.
    """
    if client.agent is None:
        by = document.decided_by if document.state == _State.APPROVED else None
        return by if by is not None and by.is_active and by.has_role(Role.ANALYST) else None
    rows = ClientCredential.objects.filter(client_id=client.client_id, agent=client.agent, state="accepted")
    latest = rows.select_related("acceptor", "agent__sponsor", "agent__owner", "agent__backup").latest("answered_at")
    return latest.acceptor if latest.acceptor in credentials.responsible(latest.agent) else None


def described(document: ClientDocument, agent: Agent | None) -> ClientCredential:
    """Return, unsaved, what a client holds that a document describes; without an agent it serves personal ones."""
    read = rules.read(document.client_id, document.document)
    is_known = Client.objects.filter(client_id=document.client_id).exists()
    return ClientCredential(
        agent=agent,
        client_id=document.client_id,
        purpose=ClientCredential.Purpose.DOCUMENT if is_known else ClientCredential.Purpose.CLIENT,
        name=document.name[:200],
        auth=read.auth,
        jwks=document.jwks,
        redirect_uris=" ".join(read.redirect_uris),
        asked_by=str(SYSTEM),
    )


def accept_for(wanted: ClientCredential, acceptor: Person, asker: Person | None = None) -> None:
    """Save what a client holds as accepted by a person who agreed to it before: who confirmed its host, or itself."""
    now = clock.now()
    wanted.asked_by = str(asker.principal if asker else SYSTEM)
    wanted.askers = [asker.login] if asker else []
    wanted.asked_at = wanted.answer_by = now
    credentials.accept(wanted, acceptor)
    wanted.answered_at = now
    wanted.save(force_insert=True)


@transaction.atomic
def store(client_id: str, document: dict[str, Any], *, by: Person, reason: str) -> ClientDocument:
    """Store a document by hand, where it cannot be fetched; it is never fetched then.

    Raises ReasonRequired, and what `fetch.stored` raises.
    """
    if not reason.strip():
        raise ReasonRequired
    read = fetch.stored(client_id, document)
    share_agents(client_id)
    kept = keep(client_id, read, stored_by=by)
    log.record(Action.CLIENT_DOCUMENT_STORED, about=about(kept), by=by.principal, reason=reason)
    return kept


@transaction.atomic
def approve(
    document_id: int, *, agent: Agent | None, serves: str = Client.Serves.OWN_AGENT, by: Person
) -> ClientDocument:
    """Let people sign in to a client that waits, by a shared agent or, without one, by an agent of each person's own.

    It works at once if `by` answers for the agent or if there is none, else once accepted. One that was refused can be
    approved later. Raises what clients.register raises; NotFound, NotWaiting, NotShared, clients.ServesPersonalAgents,
    ServesOtherwise; and independence.SecondPersonNeeded for a client that `by` disabled.
    """
    document = _held(document_id, agent)
    is_in_force = Client.objects.filter(client_id=document.client_id, status=Client.Status.ACTIVE).exists()
    if document.state == _State.READ or (document.state == _State.APPROVED and is_in_force):
        raise NotWaiting(state=document.state)
    check_agent(serves, agent)
    if Client.objects.filter(client_id=document.client_id).exclude(serves=serves).exists():
        raise ServesOtherwise
    _decide(document, _State.APPROVED, by, agent=agent, serves=serves)
    wanted = described(document, agent)
    is_known = wanted.purpose == ClientCredential.Purpose.DOCUMENT
    if is_known:
        stopped = f"client:{document.client_id}"
        independence.check_restart(stopped, Action.CLIENT_DISABLED, Action.CLIENT_ENABLED, by.principal)
    if agent is None:  # no person answers for an agent that is not there yet
        wanted.asked_by = str(by.principal)
        clients.put_in_force(wanted, by=by.principal)
    elif is_known:
        clients.ask(wanted, None, by=by.principal)
    else:
        clients.register(
            document.client_id,
            agent=agent,
            auth=wanted.auth,
            name=wanted.name,
            jwks=wanted.jwks or None,
            redirect_uris=wanted.redirect_uris.split(),
            by=by.principal,
        )
    return document


@transaction.atomic
def refuse(document_id: int, *, by: Person, reason: str) -> ClientDocument:
    """Refuse a client that waits: no person can sign in to it. Raises NotFound, NotWaiting, ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    document = _held(document_id, None)
    if document.state != _State.WAITING:
        raise NotWaiting(state=document.state)
    _decide(document, _State.REFUSED, by, reason=reason)
    log.record(Action.CLIENT_DOCUMENT_REFUSED, about=about(document), by=by.principal, reason=reason)
    return document


def about(document: ClientDocument) -> list[str]:
    """Return the links by which the record of a document is found again."""
    return [f"client:{document.client_id}"]


def _held(document_id: int, agent: Agent | None) -> ClientDocument:
    seen = ClientDocument.objects.filter(pk=document_id).first()
    if seen is None:
        raise NotFound
    if agent is not None:
        locks.shared([(Lock.AGENT, agent.pk)])
    document = held(seen.client_id)
    if document is None:
        raise NotFound
    return document


def _decide(
    document: ClientDocument,
    state: str,
    by: Person,
    *,
    agent: Agent | None = None,
    serves: str = Client.Serves.OWN_AGENT,
    reason: str = "",
) -> None:
    document.state, document.agent, document.serves, document.reason = state, agent, serves, reason
    document.decided_by, document.decided_at = by, clock.now()
    document.save(update_fields=["state", "agent", "serves", "reason", "decided_by", "decided_at"])
