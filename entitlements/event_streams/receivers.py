"""Receivers of our events: a platform admin registers one, and ends it. Its streams it makes itself.

Where events may be pushed is decided here, by a person who just proved who they are, and not by the receiver: a stolen
secret of a receiver leads no event to another host.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements import addresses
from entitlements.errors import NotFound, ReasonRequired
from entitlements.keys import signing
from entitlements.people.models import Person

from . import errors
from .models import EventReceiver

PREFIX: Final = "mdr_"
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?")


@dataclass(frozen=True, slots=True)
class NewReceiver:
    """A receiver and its secret, which is shown this once."""

    receiver: EventReceiver
    secret: str = field(repr=False)


def digest(secret: str) -> str:
    """Return what is kept of a secret. It has 256 random bits, so a digest suffices."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def register(name: str, *, audience: str, push_host: str, subject_format: str, by: Person, reason: str) -> NewReceiver:
    """Register a receiver. The first one gives our issuer of events its key.

    Raises ReasonRequired, BadHost, ReceiverTaken, SignerUnreachable.
    """
    if not reason.strip():
        raise ReasonRequired
    host = push_host.strip().lower()
    if host and not _HOST.fullmatch(host):
        raise errors.BadHost
    signing.ensure(addresses.SIGNALS)
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            row = EventReceiver.objects.create(
                name=name,
                audience=audience,
                push_host=host,
                subject_format=subject_format,
                secret_sha256=digest(secret),
                reason=reason,
                registered_by=by,
                registered_at=clock.now(),
            )
    except IntegrityError as error:
        raise errors.ReceiverTaken from error
    detail = {"audience": audience, "push_host": host, "subject_format": subject_format}
    log.record(Action.EVENT_RECEIVER_REGISTERED, about=about(row), by=by.principal, reason=reason, detail=detail)
    return NewReceiver(row, secret)


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> EventReceiver:
    """End a receiver for good: its secret and its tokens open nothing, and its streams are deleted with what waits.

    Raises ReasonRequired, NotFound, ReceiverEnded.
    """
    if not reason.strip():
        raise ReasonRequired
    row = EventReceiver.objects.select_for_update().filter(pk=key).first()
    if row is None:
        raise NotFound
    if row.ended_at is not None:
        raise errors.ReceiverEnded
    row.ended_at, row.end_reason, row.secret_sha256 = clock.now(), reason, ""
    row.save(update_fields=["ended_at", "end_reason", "secret_sha256"])
    streams = [str(pk) for pk in row.streams.order_by("pk").values_list("pk", flat=True)]
    row.streams.all().delete()
    log.record(
        Action.EVENT_RECEIVER_ENDED, about=about(row), by=by.principal, reason=reason, detail={"streams": streams}
    )
    return row


def about(row: EventReceiver) -> list[str]:
    """Return the links by which the record of a receiver is found again."""
    return [f"event_receiver:{row.name}"]
