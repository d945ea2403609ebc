"""The actions on a credential that waits: a person responsible for the agent accepts or refuses it, or it lapses."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.clients.models import Client, ClientCredential
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person

from . import clients, credentials

State = ClientCredential.State


class NotResponsible(Forbidden):
    """You cannot accept this credential: you are not sponsor, technical owner or backup owner of its agent."""

    code = "not_responsible_for_agent"


class AskedByOwnAccount(Forbidden):
    """You cannot accept this credential: another account of yours asked for it. Ask another sponsor or owner."""

    code = "credential_asked_by_own_account"


class AlreadyAnswered(DomainError):
    """The credential was accepted, refused or replaced before. Its page says what happened."""

    code, status = "credential_already_answered", HTTPStatus.CONFLICT


class Lapsed(DomainError):
    """The time to accept this credential is over. Ask for a new one."""

    code, status = "credential_lapsed", HTTPStatus.CONFLICT


@transaction.atomic
def accept(credential_id: UUID, *, by: Person) -> Client:
    """Let a credential that waits work from now on, and return its client.

    Raises NotFound, NotResponsible, AskedByOwnAccount, AlreadyAnswered, Lapsed, and what clients.put_in_force raises.
    """
    credential = _locked(credential_id, also=[(Lock.PERSON, by.pk)])
    by.refresh_from_db(fields=["is_active"])
    if by not in credentials.responsible(credential.agent):
        raise NotResponsible
    if credentials.is_other_account(by, Person.objects.filter(login__in=credential.askers)):
        raise AskedByOwnAccount
    _check_waits(credential)
    if credential.answer_by <= clock.now():
        raise Lapsed
    credentials.accept(credential, by)
    credential.save(update_fields=["state", "acceptor", "answered_by", "answered_at"])
    return clients.put_in_force(credential, by=by.principal)


@transaction.atomic
def refuse(credential_id: UUID, *, by: Principal, reason: str) -> ClientCredential:
    """Refuse a credential that waits, for good. The caller checks who may do so.

    Raises ReasonRequired, NotFound, AlreadyAnswered.
    """
    if not reason.strip():
        raise ReasonRequired
    credential = _locked(credential_id)
    _check_waits(credential)
    credential.state, credential.answered_by, credential.answered_at = State.REFUSED, str(by), clock.now()
    credential.answer_reason = reason
    credential.save(update_fields=["state", "answered_by", "answered_at", "answer_reason"])
    detail = credentials.detail(credential)
    about = credentials.about(credential)
    log.record(Action.CLIENT_CREDENTIAL_REFUSED, about=about, by=by, reason=reason, detail=detail)
    return credential


@transaction.atomic
def lapse_due(limit: int = 500) -> int:
    """End up to `limit` credentials that were not accepted in time, and return how many: N rows, N events."""
    now = clock.now()
    overdue = ClientCredential.objects.filter(state=State.WAITING, answer_by__lte=now).order_by("answer_by")
    due = list(overdue.select_for_update(of=("self",), skip_locked=True).select_related("agent")[:limit])
    rows = ClientCredential.objects.filter(pk__in=[credential.pk for credential in due])
    rows.update(state=State.LAPSED, answered_by=str(SYSTEM), answered_at=now)
    events = [
        log.Row(
            about=tuple(credentials.about(credential)),
            detail=credentials.detail(credential),
            reason="Not accepted.",
        )
        for credential in due
    ]
    log.record_many(Action.CLIENT_CREDENTIAL_LAPSED, events, by=SYSTEM)
    return len(due)


def _locked(credential_id: UUID, also: list[locks.Key] | None = None) -> ClientCredential:
    """Return the credential with its agent and people, read after the locks. Raises NotFound."""
    seen = ClientCredential.objects.filter(pk=credential_id).first()
    if seen is None:
        raise NotFound
    locks.shared([(Lock.AGENT, seen.agent_id), *(also or [])])
    clients.lock_identifier(seen.client_id)
    rows = ClientCredential.objects.select_for_update(of=("self",))
    return rows.select_related("agent__sponsor", "agent__owner", "agent__backup").get(pk=credential_id)


def _check_waits(credential: ClientCredential) -> None:
    if credential.state == State.LAPSED:
        raise Lapsed
    if credential.state != State.WAITING:
        raise AlreadyAnswered
