"""Which streams of trusted issuers are polled: a platform admin sets one, and ends it.

That events of the issuer are taken, for which audience and of which types, two people agreed on before; here is only
where they are fetched, and what opens that.
"""

from __future__ import annotations

import uuid
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person
from entitlements.secrets import seal
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.upstream import egress

from . import errors, streams
from .models import EventStream, SignalPoll

_SHORTEST: Final = 8


@transaction.atomic
def set_poll(
    issuer: str,
    *,
    endpoint_url: str,
    secret: str,
    by: Person,
    reason: str,
    token_url: str = "",
    client_id: str = "",
    scope: str = "",
) -> SignalPoll:
    """Poll a stream of a trusted issuer from now on.

    `secret` is the bearer token of the stream, or, with `token_url`, the secret of the client `client_id` there.
    Raises ReasonRequired, NoSignalIssuer, ForbiddenAddress, BadPollSecret, PollSetAlready.
    """
    if not reason.strip():
        raise ReasonRequired
    trusted = TrustedIssuer.objects.filter(issuer=issuer, enabled=True, sends_signals=True).first()
    if trusted is None:
        raise errors.NoSignalIssuer
    for url in filter(None, (endpoint_url, token_url)):
        egress.check_url(url)
    is_sendable = secret.isascii() and secret.isprintable() and " " not in secret
    if len(secret) < _SHORTEST or not is_sendable or bool(token_url) != bool(client_id) or (scope and not token_url):
        raise errors.BadPollSecret
    key, now = uuid.uuid4(), clock.now()
    try:
        with transaction.atomic():
            row = SignalPoll.objects.create(
                id=key,
                issuer=trusted,
                endpoint_url=endpoint_url,
                token_url=token_url,
                client_id=client_id,
                scope=scope,
                sealed_secret=seal.seal(secret.encode(), place(key)),
                reason=reason,
                made_by=by,
                made_at=now,
                next_at=now,
            )
    except IntegrityError as error:
        raise errors.PollSetAlready from error
    detail = {"endpoint": endpoint_url, "token_endpoint": token_url}
    log.record(Action.SIGNAL_POLL_SET, about=about(row), by=by.principal, reason=reason, detail=detail)
    return row


@transaction.atomic
def end(key: UUID, *, by: Person, reason: str) -> SignalPoll:
    """Poll a stream no more, and forget its secret. Raises ReasonRequired, NotFound, PollEnded."""
    if not reason.strip():
        raise ReasonRequired
    row = SignalPoll.objects.select_for_update(of=("self",)).select_related("issuer").filter(pk=key).first()
    if row is None:
        raise NotFound
    if row.ended_at is not None:
        raise errors.PollEnded
    row.ended_at, row.end_reason, row.sealed_secret = clock.now(), reason, None
    row.save(update_fields=["ended_at", "end_reason", "sealed_secret"])
    log.record(Action.SIGNAL_POLL_ENDED, about=about(row), by=by.principal, reason=reason)
    return row


def about(row: SignalPoll) -> list[str]:
    """Return the links by which the record of a poll is found again."""
    return [f"signal_poll:{row.pk}", f"issuer:{row.issuer.issuer}"]


def place(key: UUID) -> str:
    """Return what the sealed secret of a poll is bound to."""
    return f"signal-poll:{key}"


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` credentials of polls and pushes again that lie under another key; says how many.

    Raises SealBroken.
    """
    polls = SignalPoll.objects.exclude(sealed_secret=None)
    polls = polls.annotate(begins=Substr("sealed_secret", 1, seal.BEGINNING, output_field=BinaryField()))
    done = 0
    for poll in polls.exclude(begins=seal.beginning()).order_by("pk").select_for_update()[:most]:
        poll.sealed_secret = seal.reseal(bytes(poll.sealed_secret or b""), place(poll.pk))
        poll.save(update_fields=["sealed_secret"])
        done += 1
    pushes = EventStream.objects.exclude(sealed_authorization=None)
    pushes = pushes.annotate(begins=Substr("sealed_authorization", 1, seal.BEGINNING, output_field=BinaryField()))
    for push in pushes.exclude(begins=seal.beginning()).order_by("pk").select_for_update()[: most - done]:
        push.sealed_authorization = seal.reseal(bytes(push.sealed_authorization or b""), streams.place(push))
        push.save(update_fields=["sealed_authorization"])
        done += 1
    return done
