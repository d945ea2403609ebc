"""Read the record onward, by leaf index: dense, final, never past an open transaction. The log is the outbox."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction

from audit.models import Cursor, Event, Leaf


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """An event and its place in the log."""

    index: int
    event: Event


class EventMissing(RuntimeError):
    """A leaf has no event: the record was tampered with."""

    code = "event_missing"


def after(position: int, limit: int = 500) -> list[SealedEvent]:
    """Up to `limit` sealed events from leaf `position` on. Raises EventMissing."""
    leaves = list(Leaf.objects.filter(index__gte=position).order_by("index")[:limit])
    if not leaves:
        return []
    times = [leaf.at for leaf in leaves]
    events = {
        event.uuid: event
        for event in Event.objects.filter(
            at__gte=min(times), at__lte=max(times), uuid__in=[leaf.uuid for leaf in leaves]
        )
    }
    missing = next((leaf for leaf in leaves if leaf.uuid not in events), None)
    if missing is not None:
        message = f"leaf {missing.index}, event {missing.uuid}"
        raise EventMissing(message)
    return [SealedEvent(leaf.index, events[leaf.uuid]) for leaf in leaves]


@contextmanager
def consume(name: str, limit: int = 500) -> Iterator[Sequence[SealedEvent]]:
    """Read on from the cursor `name`, in one transaction with what the block does; it moves only if the block succeeds.

    Yields nothing when another process is reading under this name. What leaves the database in the block (a webhook)
    happens at least once.
    """
    Cursor.objects.get_or_create(name=name)
    with transaction.atomic():
        cursor = Cursor.objects.select_for_update(skip_locked=True).filter(name=name).first()
        if cursor is None:
            yield ()
            return
        sealed = after(cursor.position, limit)
        yield sealed
        if sealed:
            Cursor.objects.filter(name=name).update(position=sealed[-1].index + 1)


def end() -> int:
    """The number of leaves, and so the position after the last."""
    last = Leaf.objects.order_by("-index").values_list("index", flat=True).first()
    return 0 if last is None else last + 1
