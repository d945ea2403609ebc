"""Poll delivery (RFC 8936): what a receiver fetches from a stream, and what it says of what it fetched before.

An answer comes at once, with what there is: a request that waits would hold a thread of the web process. So every poll
is as with `returnImmediately`, and a receiver that finds nothing asks again a few seconds later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from audit import clock

from . import deliver, errors, transmit
from .models import EventReceiver, EventStream, StreamEvent

MOST_EVENTS: Final = 100
_MOST_ANSWERS: Final = 1000
_LONGEST_ERR: Final = 100
_State = StreamEvent.State


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What a poll says: the most events it wants, those it took, and those it refused with a word for each."""

    most: int
    taken: tuple[str, ...]
    refused: Mapping[str, str]


def read(body: object) -> PollRequest:
    """Read the body of a poll (RFC 8936 section 2.2). Raises BadStream."""
    if not isinstance(body, dict):
        raise errors.BadStream("A poll is an object.")
    most, taken, refused = body.get("maxEvents", MOST_EVENTS), body.get("ack", []), body.get("setErrs", {})
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise errors.BadStream("maxEvents is no number from 0 on.")
    if not isinstance(body.get("returnImmediately", False), bool):
        raise errors.BadStream("returnImmediately is true or false.")
    if not isinstance(taken, list) or len(taken) > _MOST_ANSWERS or not all(isinstance(jti, str) for jti in taken):
        raise errors.BadStream("ack is no list of identifiers.")
    if not isinstance(refused, dict) or len(refused) > _MOST_ANSWERS:
        raise errors.BadStream("setErrs is no object by identifier.")
    words = {jti: _word(said) for jti, said in refused.items()}
    return PollRequest(min(most, MOST_EVENTS), tuple(taken), words)


def _word(said: object) -> str:
    word = said.get("err") if isinstance(said, dict) else None
    if not isinstance(word, str) or not word.isprintable() or not 0 < len(word) <= _LONGEST_ERR:
        raise errors.BadStream("Each of setErrs says what is wrong in err.")
    return word


@transaction.atomic
def answer(receiver: EventReceiver, stream: EventStream, request: PollRequest) -> dict[str, Any]:
    """Take out what was taken or refused, and return what waits. Raises BadStream, SignerUnreachable."""
    if stream.method != EventStream.Method.POLL:
        raise errors.BadStream("The events of this stream are pushed.")
    now = clock.now()
    EventStream.objects.filter(pk=stream.pk).update(polled_at=now)
    waiting = StreamEvent.objects.filter(stream=stream, state=_State.WAITING)
    waiting.filter(jti__in=request.taken).update(state=_State.TAKEN, done_at=now, answer="ack")
    for jti, word in request.refused.items():
        waiting.filter(jti=jti).update(state=_State.REFUSED, done_at=now, answer=word)
    due = StreamEvent.objects.filter(deliver.may_be_sent(), stream=stream).order_by("pk")
    rows = list(due[: request.most + 1])
    sets = {row.jti: transmit.signed(row, receiver) for row in rows[: request.most]}
    shown: dict[str, Any] = {"sets": sets}
    return {**shown, "moreAvailable": True} if len(rows) > request.most else shown
