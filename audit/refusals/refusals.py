"""A refusal cannot be recorded by the transaction that it rolls back: the door records it, in one of its own."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import client_address, clock, context, log, redaction
from audit.actions import Action
from audit.models import Event

MOST_ALIKE: Final = 10
"""How many equal refusals of one caller within a minute are an event each."""
KNOWN: Final = ("person:", "client:", "agent:", "source:")
"""How a source begins that is no address: who asked again for what was refused."""
MOST_SOURCES: Final = 1000
"""How many sources of one kind a minute keeps apart; the rest share a row, so that strangers cannot fill the disk."""

_COUNT = """
INSERT INTO stranger_counts (minute, kind, source, count)
SELECT %(minute)s, %(kind)s,
       CASE WHEN EXISTS (SELECT FROM stranger_counts
                         WHERE minute = %(minute)s AND kind = %(kind)s AND source = %(source)s)
              OR (SELECT count(*) FROM stranger_counts WHERE minute = %(minute)s AND kind = %(kind)s) < %(most)s
            THEN %(source)s ELSE '*' END, 1
ON CONFLICT (minute, kind, source) DO UPDATE SET count = stranger_counts.count + 1
"""

_CLOSE = """
DELETE FROM stranger_counts WHERE (minute, kind, source) IN (
    SELECT minute, kind, source FROM stranger_counts WHERE minute < %s ORDER BY minute LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING minute, kind, source, count
"""


class Refusal(Protocol):
    """An error that says by a published code why it refused."""

    @property
    def code(self) -> str:
        """The same word in page, API and record."""


def record(
    error: Refusal,
    *,
    by: context.Principal,
    about: Iterable[str] = (),
    action: Action = Action.REFUSED,
    detail: Mapping[str, object] | None = None,
) -> Event:
    """Record a refusal, durable when this returns. Raises RuntimeError inside a transaction."""
    with transaction.atomic(durable=True):
        return log.record(
            action, by=by, about=about, outcome="refused", code=error.code, reason=str(error), detail=detail
        )


def record_or_count(error: Refusal, *, by: context.Principal, about: Sequence[str] = ()) -> None:
    """Record a refusal; after `MOST_ALIKE` of the same within a minute, count it, for one event with the others of it.

    A caller who asks again and again does not fill the record. Raises as `record`.
    """
    written = f'"actor":{json.dumps(str(by), ensure_ascii=False)},"at":"'
    same = Event.objects.filter(
        action=Action.REFUSED, links__contains=[*about, str(by)], at__gte=minute_of(clock.now())
    )
    alike = same.filter(body__contains=f'"code":{json.dumps(str(error.code))},"detail":').filter(body__contains=written)
    if alike[:MOST_ALIKE].count() < MOST_ALIKE:
        record(error, by=by, about=about)
    else:
        count_stranger(error.code, str(by))


def count_stranger(kind: str, source: str) -> None:
    """Count one failure of a stranger; `close_minutes` makes one event a source (of IPv6 a /64) and minute of them."""
    values: dict[str, Any] = {
        "minute": minute_of(clock.now()),
        "kind": redaction.text(kind),
        "source": redaction.text(client_address.counted_as(source))[:100],
        "most": MOST_SOURCES,
    }
    with transaction.atomic(), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")  # strangers must not cost a disk flush each
        cursor.execute(_COUNT, values)


@transaction.atomic
def close_minutes(limit: int = 1000) -> int:
    """Turn the counts of minutes that are over into events, in three statements. Returns how many. For a job."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_CLOSE, [minute_of(clock.now()) - timedelta(seconds=5), limit])
        rows: dict[Action, list[log.Row]] = {Action.AUTHENTICATION_FAILED: [], Action.REFUSED: []}
        for minute, kind, source, count in cursor.fetchall():
            known = source.startswith(KNOWN)
            detail = {"minute": minute, "source": source, "count": count}
            row = log.Row(about=[source] if known else [], outcome="refused", code=kind, detail=detail)
            rows[Action.REFUSED if known else Action.AUTHENTICATION_FAILED].append(row)
    return sum(log.record_many(action, some, by=context.SYSTEM) for action, some in rows.items())


def minute_of(at: datetime) -> datetime:
    """The minute that a moment is in, UTC."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)
