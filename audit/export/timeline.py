"""The stitched record: every event about one agent, grant, token, session or trace, in order."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet
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
    """Everything with this link, oldest first; `trace:<id>` means all events of one trace, and those linked to it."""
    kind, _, identifier = link.partition(":")
    if kind == "trace":
        of_trace = Q(trace=identifier) & ~Q(trace="")
        return Event.objects.filter(of_trace | Q(links__contains=[link])).order_by(*ORDER)
    return Event.objects.filter(links__contains=[link]).order_by(*ORDER)


def page(
    events: QuerySet[Event], *, after: EventPlace | None = None, limit: int = 50, newest_first: bool = False
) -> list[Event]:
    """Up to `limit` events beyond a place, by key and not by offset: the millionth costs what the first does."""
    return list(_ordered(events, after, newest_first=newest_first)[:limit])


def _ordered(events: QuerySet[Event], after: EventPlace | None, *, newest_first: bool) -> QuerySet[Event]:
    order = [f"-{name}" for name in ORDER] if newest_first else list(ORDER)
    if after is not None:
        edge = {"at__lte": after.at} if newest_first else {"at__gte": after.at}  # prunes partitions, uses the index
        compare = TupleLessThan if newest_first else TupleGreaterThan
        beyond = compare((F("at"), F("producer"), F("sequence")), tuple(Value(part) for part in after))
        events = events.filter(beyond, **edge)
    return events.order_by(*order)


def place(event: Event) -> EventPlace:
    """The place of an event, for the next page."""
    return EventPlace(event.at, event.producer, event.sequence)
