"""A client that registered itself is read like a document: its own identifier holds what it says (RFC 7591)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings

from audit import clock
from entitlements import addresses
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import registrations
from entitlements.clients.registrations import RegistrationUnknown, is_one
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS

from . import rules
from .fetch import ReadDocument

__all__ = ["check_issuer", "is_one", "read"]
_FOREVER: Final = timedelta(days=365 * 100)
"""It cannot change, so it is never read again."""


def read(client_id: str, issuer: str) -> ReadDocument:
    """Return what a client says that registered itself at this issuer in the last hour. Raises RegistrationUnknown.

    While clients may not register themselves, none is met for the first time.
    """
    if not settings.DYNAMIC_REGISTRATION:
        raise RegistrationUnknown
    registration = own_connection.run(registrations.opened(READS, client_id, _path(issuer), clock.now()))
    document = registrations.document(client_id, registration)
    return ReadDocument(document, rules.read(client_id, document), kept_for=_FOREVER)


def check_issuer(known: ClientDocument, issuer: str) -> None:
    """See that a client that was met before registered itself at this issuer. Raises RegistrationUnknown."""
    if not registrations.is_of(known.document, _path(issuer)):
        raise RegistrationUnknown


def _path(issuer: str) -> str:
    return issuer.removeprefix(addresses.issuer(""))
