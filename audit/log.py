"""record(): the only writer in a transaction. The event commits with the change that it tells of, or not at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Jsonb

from audit import context, personal_data, producers
from audit.actions import Action
from audit.draft import Draft, draft
from audit.models import Event
from audit.statements import INSERT_MANY, INSERT_ONE, columns


class Observed:
    """Who hears of each event of this process once it is committed, if any. One that fails disturbs nothing."""

    by: Callable[[Draft], None] | None = None


OBSERVED: Final = Observed()


class NotInTransaction(RuntimeError):
    """An event can only be recorded inside the transaction of the change that it tells of."""

    code = "not_in_transaction"


@dataclass(frozen=True, slots=True)
class Row:
    """What differs between the events of one set-based action."""

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
    are stored encrypted, the event holds a commitment to them. Trace, request, source, session, ticket and the person
    acted for come from context. Raises NotInTransaction, draft.BadEvent, redaction.Unrepresentable.
    """
    event_draft = draft(action, by=by, about=about, outcome=outcome, code=code, reason=reason, detail=detail)
    connection = _in_transaction()
    sealed = personal_data.seal(event_draft.uuid, personal) if personal else None
    with producers.numbers(connection, 1, event_draft.at) as (producer, sequence):
        body = event_draft.body(producer, sequence, sealed.commitments if sealed else None)
        values = {
            "at": event_draft.at,
            "uuid": event_draft.uuid,
            "action": event_draft.action,
            "links": event_draft.links,
            "trace": event_draft.trace,
            "producer": producer,
            "sequence": sequence,
            "body": body,
            "personal": Jsonb(sealed.values) if sealed else None,
        }
        _execute(connection, INSERT_ONE, values)
    _tell([event_draft])
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
    _tell(drafts)
    return len(drafts)


def _tell(drafts: Sequence[Draft]) -> None:
    if OBSERVED.by is not None:
        transaction.on_commit(partial(_tell_all, OBSERVED.by, drafts), robust=True)


def _tell_all(observer: Callable[[Draft], None], drafts: Sequence[Draft]) -> None:
    for each in drafts:
        observer(each)


def _in_transaction() -> BaseDatabaseWrapper:
    connection = connections[DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block:
        raise NotInTransaction
    _end_lost_producer(connection)
    return connection


def _end_lost_producer(connection: BaseDatabaseWrapper) -> None:
    """After a connection was lost during a commit, the next one's first event says how far it surely came."""
    lost, producers.current(connection).follows = producers.current(connection).follows, None
    if lost is not None:
        committed = producers.last_number(connection, lost)
        detail = {"producer": lost.uuid, "committed": committed, "attempted": lost.attempted}
        record(Action.PRODUCER_ENDED, by=context.SYSTEM, outcome="unknown", detail=detail)


def _execute(connection: BaseDatabaseWrapper, statement: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
