"""Push delivery (RFC 8935): one worker at a time takes a stream, and sends what waits in its order.

An answer 202 takes an event out. A 400 that says what is wrong refuses it for good: the same token again would be
refused as well. Anything else holds the whole stream back, longer each time; after a day it is paused.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from audit import clock
from audit.context import SYSTEM
from entitlements.errors import DomainError
from entitlements.secrets import seal
from entitlements.upstream import egress

from . import streams, transmit
from .models import EventStream, StreamEvent

AT_ONCE: Final = 50
SECONDS: Final = 10.0
CLAIMED: Final = timedelta(minutes=10)
"""Longer than AT_ONCE events take that are each answered at the last moment."""
FIRST, LONGEST = timedelta(seconds=2), timedelta(minutes=15)
GIVEN_UP: Final = timedelta(days=1)
_LARGEST: Final = 16 * 1024
_WAITING = StreamEvent.State.WAITING


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one delivery: taken, refused for good with its word, or to be tried again."""

    state: str
    said: str = ""


def retry_delay(failures: int) -> timedelta:
    """Return how long to wait after so many failures: twice as long each time, plus up to half of it at random."""
    doubled = min(FIRST * (1 << min(failures - 1, 20)), LONGEST)
    return doubled * (1 + secrets.randbelow(500) / 1000)


def deliver_next() -> bool:
    """Send what waits in one stream that is due; says whether there was one."""
    stream = _claim()
    if stream is None:
        return False
    waiting = stream.stream_events.filter(state=_WAITING).order_by("pk")
    if stream.status != EventStream.Status.ENABLED:
        waiting = waiting.filter(goes_at_once=True)
    for row in waiting[:AT_ONCE]:
        answer = _send(stream, row)
        if not _settle(stream, row, answer):
            break
    EventStream.objects.filter(pk=stream.pk, claimed_until=stream.claimed_until).update(claimed_until=None)
    return True


def next_due() -> datetime | None:
    """Return when the next of the streams in which something waits may be tried."""
    something = StreamEvent.objects.filter(may_be_sent(), stream=OuterRef("pk"))
    waiting = EventStream.objects.filter(Exists(something), method=EventStream.Method.PUSH, receiver__ended_at=None)
    times = [[at for at in row if at] for row in waiting.values_list("claimed_until", "retry_at")]
    return min((max(row, default=clock.now()) for row in times), default=None)


def may_be_sent() -> Q:
    """Return the condition on events that may be sent now: of a stream that is not enabled, that its status changed."""
    return Q(state=_WAITING) & (Q(goes_at_once=True) | Q(stream__status=EventStream.Status.ENABLED))


@transaction.atomic
def _claim() -> EventStream | None:
    """Claim a stream in which something waits, until a moment at which another worker takes it if this one dies."""
    now = clock.now()
    something = StreamEvent.objects.filter(may_be_sent(), stream=OuterRef("pk"))
    due = EventStream.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lte=now),
        Q(retry_at=None) | Q(retry_at__lte=now),
        Exists(something),
        method=EventStream.Method.PUSH,
        receiver__ended_at=None,
    )
    rows = due.order_by("retry_at", "pk").select_for_update(of=("self",), skip_locked=True)
    stream = rows.select_related("receiver").first()
    if stream is not None:
        stream.claimed_until = now + CLAIMED
        stream.save(update_fields=["claimed_until"])
    return stream


def _send(stream: EventStream, row: StreamEvent) -> _Answer:
    headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json", "User-Agent": "Mandate"}
    try:
        if stream.sealed_authorization is not None:
            opened = seal.unseal(bytes(stream.sealed_authorization), streams.place(stream))
            headers["Authorization"] = opened.decode()
        body = transmit.signed(row, stream.receiver).encode()
        sent = egress.submit(stream.endpoint_url, body, headers, largest=_LARGEST, seconds=SECONDS)
        status, answer = asyncio.run(sent)
    except DomainError as problem:
        return _Answer(_WAITING, problem.message)
    if status in (HTTPStatus.ACCEPTED, HTTPStatus.OK):
        return _Answer(StreamEvent.State.TAKEN, str(status))
    if status == HTTPStatus.BAD_REQUEST and (word := _word(answer)):
        return _Answer(StreamEvent.State.REFUSED, word)
    return _Answer(_WAITING, f"The receiver answered {int(status)}.")


def _word(answer: bytes) -> str:
    """Return the `err` of a refusal (RFC 8935 section 2.3); empty where the body is none."""
    try:
        document = json.loads(answer)
    except ValueError:
        return ""
    word = document.get("err") if isinstance(document, dict) else None
    return word[:100] if isinstance(word, str) and word.isprintable() else ""


@transaction.atomic
def _settle(stream: EventStream, row: StreamEvent, answer: _Answer) -> bool:
    """Write what became of a delivery; says whether the next one may be sent. A stream that was lost is left alone."""
    held = EventStream.objects.select_for_update(of=("self",)).select_related("receiver")
    now_held = held.filter(pk=stream.pk, claimed_until=stream.claimed_until).first()
    if now_held is None:
        return False
    now = clock.now()
    fields = {"attempts": row.attempts + 1, "answer": answer.said[:300]}
    if answer.state != _WAITING:
        StreamEvent.objects.filter(pk=row.pk, state=_WAITING).update(**fields, state=answer.state, done_at=now)
        if now_held.failures:
            now_held.failures, now_held.failing_since, now_held.retry_at, now_held.problem = 0, None, None, ""
            now_held.save(update_fields=["failures", "failing_since", "retry_at", "problem"])
        return now_held.status == stream.status
    StreamEvent.objects.filter(pk=row.pk, state=_WAITING).update(**fields)
    now_held.failures += 1
    now_held.failing_since = now_held.failing_since or now
    now_held.retry_at, now_held.claimed_until = now + retry_delay(now_held.failures), None
    now_held.problem = answer.said[:300]
    now_held.save(update_fields=["failures", "failing_since", "retry_at", "claimed_until", "problem"])
    if now_held.failing_since <= now - GIVEN_UP and now_held.status == EventStream.Status.ENABLED:
        said = "The receiver did not take events for a day."
        streams.change_status(now_held, EventStream.Status.PAUSED, said, by=SYSTEM, reason=said)
    return False
