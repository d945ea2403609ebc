"""Read the audit log onward, by leaf index: dense, final, never past an open transaction. The log is the outbox."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Exists, OuterRef

from audit.models import Cursor, Event, Leaf

CHUNK: Final = 5000
LEAVES: Final = """
(SELECT e.* FROM leaves l CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.at = l.at AND e.uuid = l.uuid OFFSET 0) e
WHERE l.index >= %(first)s AND l.index < %(end)s)
"""
"""The events of a range of leaves, for set-based statements; needs the parameters of `bounds`."""


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """An event and its place in the log."""

    index: int
    event: Event


class EventMissing(RuntimeError):
    """A leaf has no event: the record was tampered with."""

    code = "event_missing"


@contextmanager
def consume(name: str, limit: int = 500, *, from_now: bool = False) -> Iterator[range]:
    """Yield the next leaves for the reader `name`, in one transaction with what the block does with them.

    The reader's cursor moves only if the block succeeds, so what leaves the database in the block (a webhook) happens
    at least once. No leaf is yielded while another process reads under this name. A reader begins with the first leaf,
    or, with `from_now`, with the next one to be sealed.
    """
    Cursor.objects.get_or_create(name=name, defaults={"position": end() if from_now else 0})
    with transaction.atomic():
        cursor = Cursor.objects.select_for_update(skip_locked=True).filter(name=name).first()
        if cursor is None:
            yield range(0)
            return
        leaves = range(cursor.position, min(cursor.position + limit, end()))
        yield leaves
        if leaves:
            Cursor.objects.filter(name=name).update(position=leaves.stop)


def begin(name: str, first: Callable[[], int]) -> None:
    """Let the reader `name`, if it is new, begin with the leaf that `first` returns."""
    if not Cursor.objects.filter(name=name).exists():
        Cursor.objects.get_or_create(name=name, defaults={"position": first()})


def unread(name: str) -> int:
    """Return how many sealed leaves the reader `name` has not read yet; none for one that never read."""
    position = Cursor.objects.filter(name=name).values_list("position", flat=True).first()
    return 0 if position is None else max(0, end() - position)


def chunks(first: int = 0, last: int | None = None) -> Iterator[range]:
    """Yield the leaves first..last-1 (all, by default) in ranges of at most CHUNK, each read on its own."""
    stop = end() if last is None else min(last, end())
    for begin in range(first, stop, CHUNK):
        yield range(begin, min(begin + CHUNK, stop))


def events(leaves: range, actions: Collection[str] = ()) -> list[SealedEvent]:
    """Return the events of some leaves in order; where actions are named, only these.

    Raises EventMissing where no action is named and a leaf has no event.
    """
    places = Leaf.objects.filter(index__gte=leaves.start, index__lt=leaves.stop).order_by("index")
    if actions:
        named = Event.objects.filter(at=OuterRef("at"), uuid=OuterRef("uuid"), action__in=actions)
        places = places.filter(Exists(named))
    if not (rows := list(places)):
        return []
    times = [leaf.at for leaf in rows]
    kept = Event.objects.filter(at__gte=min(times), at__lte=max(times), uuid__in=[leaf.uuid for leaf in rows])
    by_uuid = {event.uuid: event for event in kept}
    missing = next((leaf for leaf in rows if leaf.uuid not in by_uuid), None)
    if missing is not None:
        raise EventMissing(f"leaf {missing.index}, event {missing.uuid}")
    return [SealedEvent(leaf.index, by_uuid[leaf.uuid]) for leaf in rows]


def columns(leaves: range, names: str) -> list[tuple[Any, ...]]:
    """Return columns of some leaves `l` and of their events `e`, in order; an event's are null where it is missing."""
    statement = f"""
        SELECT {names} FROM leaves l LEFT JOIN events e ON e.at = l.at AND e.uuid = l.uuid
         WHERE l.index >= %(first)s AND l.index < %(end)s ORDER BY l.index
    """  # noqa: S608 - made of constants
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement, bounds(leaves))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def bounds(leaves: range) -> dict[str, int]:
    """Return a range of leaves as the parameters of a statement."""
    return {"first": leaves.start, "end": leaves.stop}


def end() -> int:
    """Return the number of leaves, and so the position after the last."""
    last = Leaf.objects.order_by("-index").values_list("index", flat=True).first()
    return 0 if last is None else last + 1
