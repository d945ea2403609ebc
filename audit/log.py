"""record(): the only writer in a transaction. The event commits with the change that it tells of, or not at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Jsonb

from audit import context, personal_data, producers
from audit.actions import Action
from audit.draft import Draft, draft
from audit.models import Event

INSERT_ONE: Final = """
WITH event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body, personal)
    VALUES (%(at)s, %(uuid)s, %(action)s, %(links)s, %(trace)s, %(producer)s, %(sequence)s, %(body)s, %(personal)s)
)
INSERT INTO pending (at, uuid, producer, sequence) VALUES (%(at)s, %(uuid)s, %(producer)s, %(sequence)s)
"""

INSERT_MANY: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        %(at)s::timestamptz[], %(uuid)s::uuid[], %(action)s::text[], %(links)s::text[], %(trace)s::text[],
        %(sequence)s::bigint[], %(body)s::text[], %(personal)s::jsonb[]
    ) AS row (at, uuid, action, links, trace, sequence, body, personal)
), event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body, personal)
    SELECT at, uuid, action, links::text[], trace, %(producer)s::uuid, sequence, body, personal FROM given
)
INSERT INTO pending (at, uuid, producer, sequence)
SELECT at, uuid, %(producer)s::uuid, sequence FROM given ORDER BY sequence
"""


class NotInTransaction(RuntimeError):
    """An event can only be recorded inside the transaction of the change that it tells of."""

    code = "not_in_transaction"


@dataclass(frozen=True, slots=True)
class Row:
    """What differs between the events of one set-based verb."""

    about: Iterable[str] = ()
    outcome: str = "success"
    code: str = ""
    reason: str = ""
    detail: Mapping[str, object] | None = None


def record(
    action: Action,
    *,
    by: context.Principal,
    about: Iterable[str] = (),
    outcome: str = "success",
    code: str = "",
    reason: str = "",
    detail: Mapping[str, object] | None = None,
    personal: Mapping[str, Mapping[str, object]] | None = None,
) -> Event:
    """Record one event in the current transaction, with a single statement.

    `about` holds links "kind:id"; `personal` maps a subject ("person:ana") to values that can later be erased: they
    are stored encrypted, the event holds a commitment to them. Trace, request, source, session and the person acted
    for come from context. Raises NotInTransaction, draft.BadEvent, redaction.Unrepresentable.
    """
    said = draft(action, by=by, about=about, outcome=outcome, code=code, reason=reason, detail=detail)
    connection = _in_transaction()
    sealed = personal_data.seal(said.uuid, personal) if personal else None
    with producers.numbers(connection, 1, said.at) as (producer, sequence):
        body = said.body(producer, sequence, sealed.commitments if sealed else None)
        values = {
            "at": said.at,
            "uuid": said.uuid,
            "action": said.action,
            "links": said.links,
            "trace": said.trace,
            "producer": producer,
            "sequence": sequence,
            "body": body,
            "personal": Jsonb(sealed.values) if sealed else None,
        }
        _execute(connection, INSERT_ONE, values)
    event = Event(**{**values, "personal": sealed.values if sealed else None})
    event._state.adding, event._state.db = False, connection.alias
    return event


def record_many(action: Action, rows: Iterable[Row], *, by: context.Principal) -> int:
    """Record one event a row, in order, with a single statement. Returns how many. Raises as `record` does."""
    drafts = [
        draft(
            action,
            by=by,
            about=row.about,
            outcome=row.outcome,
            code=row.code,
            reason=row.reason,
            detail=row.detail,
        )
        for row in rows
    ]
    connection = _in_transaction()
    if drafts:
        with producers.numbers(connection, len(drafts), drafts[0].at) as (producer, first):
            _execute(connection, INSERT_MANY, columns(drafts, producer, first))
    return len(drafts)


def columns(drafts: list[Draft], producer: UUID, first: int) -> dict[str, object]:
    """Turn drafts into the column arrays of INSERT_MANY, numbered from `first`."""
    return {
        "at": [d.at for d in drafts],
        "uuid": [d.uuid for d in drafts],
        "action": [d.action for d in drafts],
        "links": [_array(d.links) for d in drafts],
        "trace": [d.trace for d in drafts],
        "producer": producer,
        "sequence": list(range(first, first + len(drafts))),
        "body": [d.body(producer, first + place) for place, d in enumerate(drafts)],
        "personal": [None] * len(drafts),
    }


def _array(links: list[str]) -> str:
    """Write a PostgreSQL array literal: unnest() would flatten an array of arrays."""
    quoted = (link.replace("\\", "\\\\").replace('"', '\\"') for link in links)
    return "{" + ",".join(f'"{link}"' for link in quoted) + "}"


def _in_transaction() -> BaseDatabaseWrapper:
    connection = connections[DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block:
        raise NotInTransaction
    return connection


def _execute(connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, cast("dict[str, object]", values))
