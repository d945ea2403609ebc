"""The stitched record: every event about one agent, grant, token, session or trace, in order."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import F, Value
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from audit.models import Event

ORDER = ("at", "producer", "sequence")


class EventPlace(NamedTuple):
    """Where a page ends: the next one begins after it."""

    at: datetime
    producer: UUID
    sequence: int


def of(kind: str, identifier: object) -> QuerySet[Event]:
    """Everything about one thing, oldest first: `timeline.of("grant", grant.pk)`."""
    return about(f"{kind}:{identifier}")


def about(link: str) -> QuerySet[Event]:
    """Everything with this link, oldest first; `trace:<id>` means all events of one trace."""
    kind, _, identifier = link.partition(":")
    if kind == "trace":
        return Event.objects.filter(trace=identifier).exclude(trace="").order_by(*ORDER)
    return Event.objects.filter(links__contains=[link]).order_by(*ORDER)


def page(
    events: QuerySet[Event], *, after: EventPlace | None = None, limit: int = 50, newest_first: bool = False
) -> list[Event]:
    """Up to `limit` events beyond a place, by key and not by offset: the millionth costs what the first does."""
    return list(_ordered(events, after, newest_first=newest_first)[:limit])


def place_after(
    events: QuerySet[Event], *, after: EventPlace | None, count: int, newest_first: bool = False
) -> EventPlace | None:
    """Where a window of `count` events beyond a place ends; None where there are fewer."""
    rows = _ordered(events, after, newest_first=newest_first).values_list(*ORDER)[count - 1 : count]
    return next((EventPlace(*row) for row in rows), None)


def _ordered(events: QuerySet[Event], after: EventPlace | None, *, newest_first: bool) -> QuerySet[Event]:
    order = [f"-{name}" for name in ORDER] if newest_first else list(ORDER)
    if after is not None:
        edge = {"at__lte": after.at} if newest_first else {"at__gte": after.at}  # prunes partitions, uses the index
        compare = TupleLessThan if newest_first else TupleGreaterThan
        beyond = compare((F("at"), F("producer"), F("sequence")), tuple(Value(part) for part in after))
        events = events.filter(beyond, **edge)
    return events.order_by(*order)


_OF_ACTIONS = """
SELECT newest.at, newest.uuid FROM unnest(%(actions)s::text[]) AS wanted (action) CROSS JOIN LATERAL (
    SELECT at, uuid, producer, sequence FROM events
     WHERE action = wanted.action AND (%(at)s::timestamptz IS NULL OR
           at {edge} %(at)s AND (at, producer, sequence) {beyond} (%(at)s, %(producer)s::uuid, %(sequence)s::bigint))
       AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
     ORDER BY at {way}, producer {way}, sequence {way} LIMIT %(limit)s
) AS newest ORDER BY newest.at {way}, newest.producer {way}, newest.sequence {way} LIMIT %(limit)s
"""
_DOWN = _OF_ACTIONS.format(edge="<=", beyond="<", way="DESC")
_UP = _OF_ACTIONS.format(edge=">=", beyond=">", way="ASC")


def page_of_actions(
    actions: Iterable[str],
    *,
    after: EventPlace | None = None,
    limit: int = 50,
    newest_first: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Event]:
    """As `page` over the whole record, of these actions alone: the first of each by its index, however rare it is.

    `since` is included, `until` is not.
    """
    at, producer, sequence = after or (None, None, None)
    parameters = {"actions": list(actions), "at": at, "producer": producer, "sequence": sequence, "limit": limit}
    parameters |= {"since": since, "until": until}
    with connection.cursor() as cursor:
        cursor.execute(_DOWN if newest_first else _UP, parameters)
        places = cursor.fetchall()
    return page(Event.objects.filter(pk__in=places), limit=limit, newest_first=newest_first) if places else []


def place(event: Event) -> EventPlace:
    """The place of an event, for the next page."""
    return EventPlace(event.at, event.producer, event.sequence)
