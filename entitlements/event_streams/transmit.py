"""From the audit log into the streams: each sealed event that is sent is put once into each stream that asked for it.

The cursor moves with what was put, in one transaction, and the `jti` is the event's own id: read twice, an event stands
in a stream once, and it is signed anew with the same `jti` whenever it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from audit import clock, stream
from audit.models import Event
from entitlements import addresses
from entitlements.keys import signing
from entitlements.people.models import Person

from . import profile
from .models import EventReceiver, EventStream, StreamEvent
from .profile import LoggedEvent, OutgoingEvent

CURSOR: Final = "event-streams"
AT_ONCE: Final = 5000
KEPT_FOR: Final = timedelta(days=7)
"""So long an event stays in a stream: one that is paused or not polled drops what is older."""
MOST_KEPT: Final = 10_000
"""Events that wait in one stream; what comes then is dropped, and counted in its problem."""
_FORGOTTEN_AT_ONCE: Final = 5000
TYP: Final = "secevent+jwt"


def listen(limit: int = AT_ONCE) -> int:
    """Put what the next sealed events tell into the streams; says how many were passed. Begins with what comes now."""
    with stream.consume(CURSOR, limit, from_now=True) as leaves:
        if leaves:
            _put([sealed.event for sealed in stream.events(leaves, profile.READ)])
    return len(leaves)


def lag() -> int:
    """Return how many sealed events were not read yet."""
    return stream.unread(CURSOR)


def _put(events: Iterable[Event]) -> None:
    found = [(event, said) for event in events if (said := profile.outgoing(_logged(event))) is not None]
    logins = {said.login for _, said in found if said.login}
    people = {person.login: person for person in Person.objects.filter(login__in=logins)}
    found = [(event, said) for event, said in found if _may_leave(said, people)]
    if not found:
        return
    enabled = EventStream.objects.exclude(status=EventStream.Status.DISABLED).filter(receiver__ended_at=None)
    # A stream that is being changed or deleted is waited for: what it asks for is then read as it is.
    streams = list(enabled.select_related("receiver").order_by("pk").select_for_update(of=("self",)))
    for each in streams:
        rows = list(_rows(each, found, people))
        room = MOST_KEPT - each.stream_events.filter(state=StreamEvent.State.WAITING).count() if rows else 0
        StreamEvent.objects.bulk_create(rows[: max(0, room)], ignore_conflicts=True)
        if len(rows) > room:
            over = f"More than {MOST_KEPT} events wait; newer ones are lost."
            EventStream.objects.filter(pk=each.pk).update(problem=over)


def _may_leave(said: OutgoingEvent, people: dict[str, Person]) -> bool:
    """Whether a known person is named; a purged account is sent only of a person who is not active."""
    person = people.get(said.login)
    if said.type == profile.ACCOUNT_PURGED:
        return person is None or not person.is_active
    return person is not None or not said.login


def _rows(
    each: EventStream, found: list[tuple[Event, OutgoingEvent]], people: dict[str, Person]
) -> Iterator[StreamEvent]:
    now, wanted = clock.now(), {*profile.delivered(each.events_requested)}
    for event, said in found:
        if said.type in wanted:
            jti = str(event.uuid)
            claims: dict[str, Any] = {
                "jti": jti,
                "iat": int(now.timestamp()),
                "txn": jti,
                "sub_id": _subject(each.receiver, said, people.get(said.login)),
                "events": {said.type: dict(said.payload)},
            }
            yield StreamEvent(stream=each, jti=jti, type=said.type, claims=claims, made_at=now)


def _subject(receiver: EventReceiver, said: OutgoingEvent, person: Person | None) -> dict[str, Any]:
    by_mail = receiver.subject_format == EventReceiver.SubjectFormat.EMAIL and person is not None
    mail = person.email if by_mail and person is not None else ""
    return profile.subject(said.login, said.session, addresses.issuer(addresses.IDP), mail)


def _logged(event: Event) -> LoggedEvent:
    return LoggedEvent(event.action, event.at, event.actor, event.about, event.detail)


def signed(row: StreamEvent, receiver: EventReceiver) -> str:
    """Return an event as a token, signed now (RS256, as the CAEP interoperability profile asks).

    Raises SignerUnreachable.
    """
    iss = addresses.issuer(addresses.SIGNALS)
    return signing.sign(addresses.SIGNALS, {"iss": iss, "aud": receiver.audience, **row.claims}, TYP)


def forget_old() -> int:
    """Delete what has stood in streams for long, taken or not, some at a time; says how many."""
    old = StreamEvent.objects.filter(made_at__lt=clock.now() - KEPT_FOR).order_by("made_at")
    some = list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    return StreamEvent.objects.filter(pk__in=some).delete()[0]
