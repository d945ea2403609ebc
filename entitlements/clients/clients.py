"""Actions on OAuth clients: register, rotate the secret, disable, enable, rename at one authorization server."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client, ClientCredential
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.hooks import Hook
from entitlements.keys import public_keys
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.unmanaged_agents import unmanaged_agents

from . import credentials


class ClientIdTaken(DomainError):
    """The client identifier is taken. Choose another."""

    code, status = "client_id_taken", HTTPStatus.CONFLICT


class NoSecret(DomainError):
    """The client signs in without a shared secret, so there is no secret to change."""

    code, status = "client_has_no_secret", HTTPStatus.CONFLICT


class ServesPersonalAgents(DomainError):
    """A client that acts through personal agents has no agent and no API scopes of its own. Leave them out."""

    code, status = "client_serves_personal_agents", HTTPStatus.CONFLICT


class AgentRetired(DomainError):
    """The agent is retired, so it cannot have clients."""

    code, status = "agent_retired", HTTPStatus.CONFLICT


class PutAway(DomainError):
    """The client was deleted because it was not used for a long time. Register a new one."""

    code, status = "client_put_away", HTTPStatus.CONFLICT


GUARD: Final[Hook[[Agent, Sequence[str]], None]] = Hook("scopes of a client", "combinations")
"""What else keeps a client of an agent from having these scopes of our own API, before it works."""
WORKLOAD_RULE: Final[Hook[[ClientCredential, Principal], Client]] = Hook("put a workload rule in force", "rules")
"""Makes the workload rule of an accepted credential work, and returns its client."""
START_GUARD: Final[Hook[[str], None]] = Hook("enable a client", "reviews")
"""What else keeps a disabled client from being enabled; it is given the client's identifier."""


def _pass_guards(agent: Agent | None, api_scopes: Sequence[str]) -> None:
    if agent is not None and api_scopes:
        GUARD.ask(agent, api_scopes)


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of asking for a client or a secret: the client once it works, else the credential that waits.

    `secret` is shown this once to who asked (None for a client without one); it opens nothing while it waits.
    """

    client: Client | None
    secret: str | None = field(default=None, repr=False)
    waiting: ClientCredential | None = None


@transaction.atomic
def register(  # noqa: PLR0913 - what a client is
    client_id: str,
    *,
    agent: Agent | None,
    auth: str,
    name: str = "",
    jwks: Mapping[str, Any] | None = None,
    redirect_uris: Sequence[str] = (),
    api_scopes: Sequence[str] = (),
    serves: str = Client.Serves.OWN_AGENT,
    by: Principal,
) -> Registered:
    """Register a client. A client of an agent works at once if `by` is responsible for the agent, else once accepted.

    One that `serves` personal agents has no agent, and acts through that of each person who connects with it.

    Raises ServesPersonalAgents, ClientIdTaken, AgentRetired, credentials.NoAcceptor, unmanaged_agents.ClientBlocked for
    a name that was seen and blocked, public_keys.BadKey and PrivateKeyGiven for keys that cannot be used; and what the
    guards raise.
    """
    if serves == Client.Serves.PERSONAL_AGENTS and (agent is not None or api_scopes):
        raise ServesPersonalAgents
    if agent is not None:
        locks.shared([(Lock.AGENT, agent.pk)])  # a retirement waits for us, or we see it
    if jwks or auth == Client.Auth.PRIVATE_KEY_JWT:
        public_keys.check_registered(jwks)
    lock_identifier(client_id)
    secret = secrets.token_urlsafe(32) if auth == Client.Auth.CLIENT_SECRET_BASIC else None
    credential = ClientCredential(
        agent=agent,
        client_id=client_id,
        purpose=ClientCredential.Purpose.CLIENT,
        name=name or client_id[:200],
        auth=auth,
        jwks=dict(jwks or {}),
        secret_sha256=secret_digest(secret) if secret else "",
        redirect_uris=" ".join(redirect_uris),
        api_scopes=list(api_scopes),
    )
    _check_new(credential)
    if agent is None:
        return Registered(_create(credential, serves=serves, by=by), secret)
    return ask(credential, secret, by=by)


def secret_digest(secret: str) -> str:
    """Return what is stored of a client secret: a fast hash suffices for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def rotate_secret(client: Client, *, by: Principal, reason: str, keep_previous: bool = False) -> Registered:
    """Give a client another secret; for a client of an agent, at once if `by` is responsible, else once accepted.

    The secret before it works until then and opens nothing afterwards, or with `keep_previous` after the overlap.
    Tokens that were issued live on for their minutes. Raises NotFound, credentials.NoAcceptor, and NoSecret for a
    client that uses none.
    """
    locked = hold_alone(client)
    if locked.auth != Client.Auth.CLIENT_SECRET_BASIC:
        raise NoSecret(auth=locked.auth)
    secret = secrets.token_urlsafe(32)
    wanted = credentials.new_for(locked, ClientCredential.Purpose.SECRET, reason=reason, keep_previous=keep_previous)
    wanted.secret_sha256 = secret_digest(secret)
    return give(locked, wanted, secret, by=by)


def hold_alone(client: Client) -> Client:
    """Return a client that only the running transaction changes, while its agent is not retired. Raises NotFound."""
    if client.agent_id is not None:
        locks.shared([(Lock.AGENT, client.agent_id)])
    lock_identifier(client.client_id)
    return lock(client)


def give(held: Client, wanted: ClientCredential, secret: str | None, *, by: Principal) -> Registered:
    """Give a client that is held alone another credential: at once, or once it is accepted. Raises NoAcceptor."""
    if held.agent is None:
        return Registered(_set_credential(held, wanted, by=by), secret)
    return ask(wanted, secret, by=by)


def ask(wanted: ClientCredential, secret: str | None, *, by: Principal) -> Registered:
    """Put a credential in force that `by` is responsible for; else let it wait. As `register` of a client of an agent.

    The caller holds the agent and the client's identifier. Raises credentials.NoAcceptor, and as `put_in_force`.
    """
    credential = credentials.ask(wanted, by=by)
    if credential.state == ClientCredential.State.ACCEPTED:
        return Registered(put_in_force(credential, by=by), secret)
    log.record(
        Action.CLIENT_CREDENTIAL_PROPOSED,
        about=credentials.about(credential),
        by=by,
        reason=credential.reason,
        detail={**credentials.detail(credential), "answer_by": credential.answer_by.isoformat()},
    )
    return Registered(None, secret, credential)


def put_in_force(credential: ClientCredential, *, by: Principal) -> Client:
    """Make a credential work that was just accepted, in the transaction and under the locks of who accepts.

    One without an agent is of a client of personal agents, and is not saved. Raises ClientIdTaken, AgentRetired,
    NotFound, seenagents.ClientBlocked, and what the guards raise.
    """
    if credential.purpose in (ClientCredential.Purpose.SECRET, ClientCredential.Purpose.KEYS):
        current = Client.objects.filter(client_id=credential.client_id, agent=credential.agent_id).first()
        if current is None:
            raise NotFound
        _check_not_retired(credential.agent_id)
        return _set_credential(lock(current), credential, by=by)
    if credential.purpose == ClientCredential.Purpose.DOCUMENT:
        return _take_over(credential, by=by)
    if credential.purpose == ClientCredential.Purpose.WORKLOAD:
        return WORKLOAD_RULE.ask(credential, by)[0]
    _check_new(credential)
    serves = Client.Serves.OWN_AGENT if credential.agent_id else Client.Serves.PERSONAL_AGENTS
    return _create(credential, serves=serves, by=by)


def lock_identifier(client_id: str) -> None:
    """Be the only one who asks for, accepts or refuses a credential under this identifier until the end."""
    locks.exclusive((Lock.CLIENT, f"credential:{client_id}"))


def _check_new(wanted: ClientCredential) -> None:
    """Check what a new client has to pass both when it is asked for and when it is accepted."""
    _check_not_retired(wanted.agent_id)
    unmanaged_agents.check_not_blocked(wanted.client_id)
    waiting = ClientCredential.objects.filter(client_id=wanted.client_id, state=ClientCredential.State.WAITING)
    if Client.objects.filter(client_id=wanted.client_id).exists() or waiting.exclude(agent=wanted.agent_id).exists():
        raise ClientIdTaken(client_id=wanted.client_id)
    _pass_guards(wanted.agent if wanted.agent_id else None, wanted.api_scopes)


def _create(wanted: ClientCredential, *, serves: str, by: Principal) -> Client:
    client = Client(
        client_id=wanted.client_id,
        name=wanted.name,
        agent=wanted.agent if wanted.agent_id else None,
        auth=wanted.auth,
        jwks=wanted.jwks,
        secret_sha256=wanted.secret_sha256,
        client_secret="",  # the toolkit's own; ours is `secret_sha256`, and hashing nothing would cost half a second
        hash_client_secret=False,
        client_type=Client.CLIENT_PUBLIC if wanted.auth == Client.Auth.NONE else Client.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        redirect_uris=wanted.redirect_uris,
        api_scopes=wanted.api_scopes,
        algorithm=Client.NO_ALGORITHM,
        serves=serves,
    )
    try:
        with transaction.atomic():
            client.save(force_insert=True)
    except IntegrityError as error:
        raise ClientIdTaken(client_id=wanted.client_id) from error
    detail = {
        "auth": wanted.auth,
        "name_is_claimed": client.name_is_claimed,
        "serves": str(serves),
        "api_scopes": list(wanted.api_scopes),
        **_proposal(wanted, by),
    }
    log.record(Action.CLIENT_REGISTERED, about=about(client), by=by, detail=detail)
    return client


def _set_credential(held: Client, wanted: ClientCredential, *, by: Principal) -> Client:
    held.save(update_fields=credentials.replace(held, wanted))
    is_secret = wanted.purpose == ClientCredential.Purpose.SECRET
    action = Action.CLIENT_SECRET_ROTATED if is_secret else Action.CLIENT_KEYS_REPLACED
    ends = held.previous_ends_at.isoformat() if held.previous_ends_at else None
    detail = {**_proposal(wanted, by), "previous_ends_at": ends}
    log.record(action, about=about(held), by=by, reason=wanted.reason, detail=detail)
    note(held)
    return held


def _take_over(credential: ClientCredential, *, by: Principal) -> Client:
    """Write what was accepted of a changed document. One that was stopped works again where a person asked for it.

    Raises NotFound, AgentRetired, PutAway, and what START_GUARD raises.
    """
    current = Client.objects.filter(client_id=credential.client_id).first()
    if current is None:
        raise NotFound
    _check_not_retired(credential.agent_id)
    held = lock(current)
    if held.status != Client.Status.ACTIVE and credential.asked_by != str(SYSTEM):
        if held.idle == Client.Idle.DELETED:
            raise PutAway
        START_GUARD.ask(held.client_id)
        held.status, held.idle = Client.Status.ACTIVE, ""
    agents = {pk for pk in (held.agent_id, credential.agent_id) if pk is not None}
    changed = credentials.changed(held, credential)
    held.agent = credential.agent if credential.agent_id else None
    held.name, held.auth = credential.name, credential.auth
    if held.jwks != credential.jwks:
        held.credential_made_at = clock.now()
    held.jwks, held.redirect_uris = credential.jwks, credential.redirect_uris
    held.client_type = Client.CLIENT_PUBLIC if credential.auth == Client.Auth.NONE else Client.CLIENT_CONFIDENTIAL
    held.save()
    redirects = credential.redirect_uris
    detail = {"auth": credential.auth, "redirect_uris": redirects, "changed": changed, **_proposal(credential, by)}
    log.record(Action.CLIENT_DOCUMENT_APPLIED, about=about(held), by=by, detail=detail)
    changes.note(subjects.client(held.pk), of=[subjects.agent(pk) for pk in sorted(agents)])
    return held


def _proposal(credential: ClientCredential, by: Principal) -> dict[str, Any]:
    """Say who asked for a credential that another person accepted."""
    if credential.acceptor is None or credential.asked_by == str(by):
        return {}
    return {"proposal": str(credential.pk), "asked_by": credential.asked_by}


@transaction.atomic
def disable(client: Client, *, by: Principal, reason: str) -> Client:
    """Disable a client at once. Its sessions end, and all that was issued to it is dead for good.

    Disabling twice changes and records nothing; a second person's stop adds to the first, or to a closing for lack of
    use.
    """
    locked = lock(client)
    if locked.status == Client.Status.DISABLED and str(by) in disabled_by(locked.client_id):
        return locked
    locked.status = Client.Status.DISABLED
    if locked.idle == Client.Idle.CLOSED:
        locked.idle = ""  # it is no longer for want of use alone that it is closed
    locked.save(update_fields=["status", "idle"])
    log.record(Action.CLIENT_DISABLED, about=about(locked), by=by, reason=reason)
    _end_sign_ins(locked, by=by, reason=reason)
    return locked


def end_changed(client: Client, *, disables: bool, by: Principal, reason: str) -> None:
    """End the sign-ins of a client whose document describes another one, in the running transaction.

    `disables` says that it must be approved before it works again.
    """
    locked = lock(client)
    locked.status = Client.Status.DISABLED if disables else locked.status
    locked.save(update_fields=["status"])
    _end_sign_ins(locked, by=by, reason=reason)


def _end_sign_ins(locked: Client, *, by: Principal, reason: str) -> None:
    """End the sessions and token families of a client, with all that was issued to it until now."""
    locked.tokens_valid_after = clock.now()
    locked.save(update_fields=["tokens_valid_after"])
    sessions.end_all_of(Session.objects.filter(client=locked), subjects.client(locked.pk), by=by, reason=reason)
    families.end_all_of(subjects.client(locked.pk), by=by, reason=reason)
    note(locked)


@transaction.atomic
def enable(client: Client, *, by: Principal, reason: str) -> Client:
    """Enable a client that was disabled or closed for lack of use. It needs new tokens.

    The person who disabled it cannot enable it. Raises NotFound, PutAway,
    SecondPersonNeeded, AgentRetired, and what the guards raise.
    """
    if client.agent_id is not None:
        locks.shared([(Lock.AGENT, client.agent_id)])
    locked = lock(client)
    if locked.status == Client.Status.ACTIVE:
        return locked
    if locked.idle == Client.Idle.DELETED:
        raise PutAway
    if locked.idle != Client.Idle.CLOSED:  # no person stops a client that is closed for lack of use
        independence.check_restart(f"client:{locked.client_id}", Action.CLIENT_DISABLED, Action.CLIENT_ENABLED, by)
    START_GUARD.ask(locked.client_id)
    _check_not_retired(locked.agent_id)
    _pass_guards(locked.agent, locked.api_scopes)
    locked.status, locked.idle, locked.idle_since = Client.Status.ACTIVE, "", clock.now()
    locked.save(update_fields=["status", "idle", "idle_since"])
    log.record(Action.CLIENT_ENABLED, about=about(locked), by=by, reason=reason)
    note(locked)
    return locked


def disabled_by(client_id: str) -> set[str]:
    """Return who disabled a client since it was last enabled."""
    return independence.stopped_by(f"client:{client_id}", Action.CLIENT_DISABLED, Action.CLIENT_ENABLED)


def note(client: Client) -> None:
    """Tell the nodes that a client changed, and with it what its agent may do."""
    changes.note(subjects.client(client.pk), of=[] if client.agent_id is None else [subjects.agent(client.agent_id)])


def _check_not_retired(agent_pk: int | None) -> None:
    if agent_pk is not None and Agent.objects.filter(pk=agent_pk, status=Agent.Status.RETIRED).exists():
        raise AgentRetired


def lock(client: Client) -> Client:
    """Be the only one who changes a client until the transaction ends; returns it as it is. Raises NotFound."""
    locks.exclusive((Lock.CLIENT, client.pk))
    try:
        return Client.objects.select_related("agent").get(pk=client.pk)
    except Client.DoesNotExist as error:
        raise NotFound from error


def about(client: Client) -> list[str]:
    """Return the links by which the record of a client is found again."""
    return [f"client:{client.client_id}", *([f"agent:{client.agent.slug}"] if client.agent else [])]
