"""Whether a person may sign in to a client that describes itself by a document: known, new, or for an analyst first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements import ratelimits
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person

from . import documents, fetch, registered, rules
from .fetch import ReadDocument

MOST_WAITING: Final = 10
"""How many clients may wait that one person tried."""
MOST_KEPT: Final = 1_000
"""How many of the people who tried are kept, for the notice of the decision."""
_State = ClientDocument.State


class TooManyWaiting(DomainError):
    """You tried as many clients as may wait for an analyst at a time. Wait for a decision, then try again."""

    code, status = "client_documents_waiting", HTTPStatus.TOO_MANY_REQUESTS


class Admission(StrEnum):
    """What the page of a sign-in does next."""

    KNOWN = "known"
    """The client is there: the page asks the person, as for any client."""
    NEW = "new"
    """The host is allowed: the client is made when the person agrees."""
    WAITING = "waiting"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Admitted:
    """The document of a client as it counts now, and what follows from it for this person."""

    document: ClientDocument
    admission: Admission


def admit(client_id: str, *, by: Person, issuer: str = "") -> Admitted:
    """Say whether a signed-in person may go on to a client; fetches its document where that is due.

    A client of a host that is not allowed waits for an analyst, once for all who try; so does one that registered
    itself at `issuer`, which has no host. Raises what `fetch.fetch` raises, ratelimits.TooMany, TooManyWaiting,
    registrations.RegistrationUnknown.
    """
    known = ClientDocument.objects.filter(client_id=client_id).first()
    read: ReadDocument | None = None
    is_registered = registered.is_one(client_id)
    if known is not None and is_registered:
        registered.check_issuer(known, issuer)
    elif is_registered:
        read = registered.read(client_id, issuer)
    elif known is None or known.is_due(clock.now()):
        rules.check_address(client_id)
        ratelimits.check(ratelimits.API, str(by.principal))
        read = fetch.fetch(client_id)
    return _admit(client_id, read, by=by)


@transaction.atomic
def _admit(client_id: str, read: ReadDocument | None, *, by: Person) -> Admitted:
    documents.share_agents(client_id)
    document = documents.held(client_id) if read is None else documents.keep(client_id, read)
    if document is None:  # it was there a moment ago, and none is ever deleted
        raise rules.BadAddress
    if document.state == _State.REFUSED:
        return Admitted(document, Admission.REFUSED)
    client = Client.objects.filter(client_id=client_id).first()
    is_stopped = client is not None and client.status != Client.Status.ACTIVE
    if document.state == _State.WAITING:
        _note_try(document, by)
        return Admitted(document, Admission.WAITING)
    policy = documents.policy_of(document)
    if client is not None and (not is_stopped or policy is not None or document.state == _State.APPROVED):
        return Admitted(document, Admission.KNOWN)
    if policy is not None:
        return Admitted(document, Admission.NEW)
    if document.state == _State.APPROVED:  # and not accepted for its agent yet
        return Admitted(document, Admission.WAITING)
    _note_try(document, by)
    return Admitted(document, Admission.WAITING)


@transaction.atomic
def join(document: ClientDocument, *, by: Person) -> Client:
    """Make the client of an allowed host, by its policy of a shared agent or of personal agents; it is made once.

    Raises documents.NotWaiting where the host is allowed no longer, and what clients.put_in_force raises.
    """
    documents.share_agents(document.client_id)
    locks.exclusive((Lock.PERSON, by.pk))  # the same page may connect them, and this comes before the identifier
    fresh = documents.held(document.client_id)
    policy = documents.policy_of(fresh) if fresh is not None else None
    client = Client.objects.filter(client_id=document.client_id).first()
    if client is not None:
        return client
    if fresh is None or policy is None or policy.confirmed_by is None:
        raise documents.NotWaiting
    wanted = documents.described(fresh, policy.agent)
    if policy.agent is not None:
        documents.accept_for(wanted, policy.confirmed_by, policy.proposed_by)
    return clients.put_in_force(wanted, by=by.principal)


def _note_try(document: ClientDocument, by: Person) -> None:
    """Let a client wait for an analyst, and count a person who tries it, once."""
    if document.state == _State.WAITING and (by.pk in document.tried_by or len(document.tried_by) >= MOST_KEPT):
        return
    if ClientDocument.objects.filter(state=_State.WAITING, tried_by__contains=[by.pk]).count() >= MOST_WAITING:
        raise TooManyWaiting
    if document.state != _State.WAITING:
        document.state, document.asked_at = _State.WAITING, clock.now()
    document.tried_by = [*document.tried_by, by.pk]
    document.save(update_fields=["state", "asked_at", "tried_by"])
    detail = {"host": document.host, "people": len(document.tried_by), "document": document.pk}
    log.record(Action.CLIENT_DOCUMENT_WAITING, about=documents.about(document), by=by.principal, detail=detail)
