"""Group commit for the gateway's event loop: a call awaits the commit of the batch that its event is in.

While one batch commits, the next gathers; so batches are as large as the load asks for, and a lone event does not
wait. One statement writes a batch, so it is in the record whole or not at all. Where a commit's fate is unknown, the
calls of that batch fail closed, nothing is written twice, and a new producer begins with a marker that ends the old.
Where the server refuses a batch for what one event says, that batch is certainly undone: it is written in halves, until
the refused event stands alone and its neighbours are in the record.
"""

import asyncio
import contextlib
import logging
import select
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg.types.json import Json

from audit import context
from audit.actions import Action
from audit.draft import BadEvent, Draft, TextDraft, draft
from audit.statements import CLAIM_AND_INSERT_MANY, INSERT_MANY, columns

MAX_BATCH: Final = 500
MAX_WAITING: Final = 5000
COMMIT_WITHIN: Final = 5.0
"""Seconds after which a commit's fate is called unknown."""

FOLLOWS_WITHIN: Final = 0.01
"""Seconds that an event without a waiting call leaves to those that have one, so that it holds up none."""

_OF_THE_CONTENT: Final = ("22", "23")
"""Classes of refusals of a value or by a constraint, which other events of the batch did not cause."""
_SHUTDOWN: Final = "57P"
"""Class of the server's farewells: what was under way when one came may have committed."""

logger = logging.getLogger(__name__)


class NotWritten(RuntimeError):
    """The event is certainly not in the record."""

    code = "record_unavailable"


class _Refused(NotWritten):
    """The server refused what an event says: a value it cannot hold, or a second end of one call."""


class Busy(NotWritten):
    """Too many events are waiting for the record."""

    code = "record_busy"


class NameUsed(NotWritten):
    """A name that was to be used up with the event was used before."""

    code = "name_used"


class _NamesUsed(NotWritten):
    """Nothing of a batch is written: of its events, those of `events` have names that were used before."""

    def __init__(self, events: set[UUID | str]) -> None:
        super().__init__("a name was used before")
        self.events = events


class FateUnknown(RuntimeError):
    """Whether the event is in the record is not known: the call that it tells of must not go on."""

    code = "record_fate_unknown"


@dataclass(slots=True)
class _Producer:
    uuid: UUID = field(default_factory=uuid4)
    committed: int = 0


def is_farewell(error: psycopg.Error, connection: psycopg.AsyncConnection[Any]) -> bool:
    """Tell whether an error came because the connection ended, rather than as the server's answer to a statement."""
    return connection.closed or (error.sqlstate or _SHUTDOWN).startswith(_SHUTDOWN)


def is_cut(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Tell, without waiting for the server, whether it has ended an idle connection.

    To an idle connection it sends nothing but its farewell, so whatever is there to read means the end; writing first
    and finding out then would leave a batch in doubt that was never sent.
    """
    if connection.closed:
        return True
    unread = select.poll()
    unread.register(connection.fileno(), select.POLLIN)
    return bool(unread.poll(0))


type Event = Draft | TextDraft
type Claim = tuple[str, str, str]
"""A name that is used up with an event, once: whose it is, the name, and until when it is remembered."""
type _Call = tuple[Event, asyncio.Future[None]]


def _fail(calls: Iterable[_Call], error: Exception) -> None:
    for _, done in calls:
        if not done.done():
            done.set_exception(error)


def _marker(ended: dict[str, object]) -> Draft:
    """End a producer whose last commit is in doubt. Made again each time: an earlier one may have been committed."""
    return draft(Action.PRODUCER_ENDED, by=context.SYSTEM, outcome="unknown", detail=ended)


class Writer:
    """Writes events in batches over a connection of its own. One per event loop: `async with Writer(address) as it`."""

    def __init__(self, address: str, *, max_waiting: int = MAX_WAITING, claim: str = "") -> None:
        """Connect to `address`.

        `claim` uses the JSON array `%(names)s` of `{of, name, until}` up, and returns `of` and `name` of each that was
        not used before.
        """
        self._address = address
        self._claim = CLAIM_AND_INSERT_MANY.format(claim=claim)
        self._claims: dict[UUID | str, Claim] = {}
        self._max_waiting = max_waiting
        self._waiting: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._producer = _Producer()
        self._ended: list[dict[str, object]] = []
        self._task: asyncio.Task[None] | None = None
        self._following: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="audit-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is waiting, then disconnect."""
        self._closing = True
        if self._following is not None:
            self._following.cancel()
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def write(self, event: Event, claim: Claim | None = None) -> None:
        """Return when the event is durable. Raises Busy or NotWritten (it is not in the record), or FateUnknown.

        With `claim` that name is used up in the same transaction; NameUsed where it was used before.
        """
        done = self._enqueue(event)
        if claim is not None:
            self._claims[event.uuid] = claim
        self._wake.set()
        await done

    def follow(self, event: Event) -> asyncio.Future[None]:
        """Let an event without a waiting call go with the next batch, at most FOLLOWS_WITHIN later.

        What becomes of it is the future's, as `write` has it. Raises Busy, NotWritten.
        """
        done = self._enqueue(event)
        if self._following is None:
            self._following = asyncio.get_running_loop().call_later(FOLLOWS_WITHIN, self._begin_following)
        return done

    def _begin_following(self) -> None:
        self._following = None
        self._wake.set()

    def _enqueue(self, event: Event) -> asyncio.Future[None]:
        """Put an event at the end of those that wait.

        An event over the size limit is refused here, alone: inside a batch it would fail its neighbours.
        """
        try:
            event.check_size()
        except BadEvent as error:
            raise NotWritten(str(error)) from error
        if self._closing or self._task is None or self._task.done():
            raise NotWritten
        if len(self._waiting) >= self._max_waiting:
            raise Busy
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        return done

    async def _run(self) -> None:
        batch: list[_Call] = []
        try:
            while self._waiting or not self._closing:
                await self._wake.wait()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                if not self._waiting and not self._closing:
                    self._wake.clear()
                if batch:
                    await self._write_or_halve(batch)
        finally:  # cancelled: what was on its way is in doubt, what waited was not written
            _fail(batch, FateUnknown("the writer was stopped"))
            _fail(self._waiting, NotWritten("the writer was stopped"))

    async def _write_or_halve(self, batch: list[_Call]) -> None:
        """Write a batch and let every call in it hear what became of its event."""
        try:
            await self._write_batch([event for event, _ in batch])
        except _NamesUsed as error:
            self._forget_claims(batch)  # used by now, by these events or by others
            _fail([call for call in batch if call[0].uuid in error.events], NameUsed())
            if rest := [call for call in batch if call[0].uuid not in error.events]:
                await self._write_or_halve(rest)
            return
        except _Refused as error:
            if (middle := len(batch) // 2) > 0:
                await self._write_or_halve(batch[:middle])
                await self._write_or_halve(batch[middle:])
                return
            logger.warning("record_event_refused", extra={"action": batch[0][0].action, "error": repr(error)})
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, every call in the batch must hear of it
            logger.warning("record_batch_failed", extra={"events": len(batch), "error": repr(error)})
            _fail(batch, error if isinstance(error, NotWritten | FateUnknown) else NotWritten(str(error)))
        self._forget_claims(batch)
        for _, done in batch:
            if not done.done():
                done.set_result(None)

    async def _write_batch(self, events: list[Event]) -> None:
        connection = await self._connect()
        events = [*map(_marker, self._ended), *events]
        values = columns(events, self._producer.uuid, self._producer.committed + 1)
        names = (
            {each.uuid: self._claims[each.uuid] for each in events if each.uuid in self._claims} if self._claims else {}
        )
        try:
            async with asyncio.timeout(COMMIT_WITHIN):
                if names:
                    await self._execute_claiming(connection, values, names)
                else:
                    await connection.execute(INSERT_MANY, values, prepare=True)
        except psycopg.Error as error:
            if is_farewell(error, connection):
                await self._lose(len(events), error)
            is_of_the_content = (error.sqlstate or "").startswith(_OF_THE_CONTENT)
            kind = _Refused if is_of_the_content else NotWritten
            raise kind(str(error)) from error  # the server answered: the statement, and so the batch, is undone
        except TimeoutError as error:
            await self._lose(len(events), error)
        self._producer.committed += len(events)
        self._ended.clear()

    async def _execute_claiming(
        self, connection: psycopg.AsyncConnection[Any], values: dict[str, Any], names: dict[UUID | str, Claim]
    ) -> None:
        """Use names up and write the batch, in one statement. Raises _NamesUsed: then nothing is written."""
        wanted = [{"of": of, "name": name, "until": until} for of, name, until in names.values()]
        asked = {**values, "names": Json(wanted, dumps=msgspec.json.encode), "claims": len(names)}
        cursor = await connection.execute(self._claim, asked, prepare=True)
        claimed = set(await cursor.fetchall())
        used: set[UUID | str] = set()
        for uuid, (of, name, _) in names.items():
            if (of, name) in claimed:
                claimed.remove((of, name))  # two events of a batch with one name: the first has it
            else:
                used.add(uuid)
        if used:
            raise _NamesUsed(used)

    def _forget_claims(self, batch: Iterable[_Call]) -> None:
        if self._claims:
            for event, _ in batch:
                self._claims.pop(event.uuid, None)

    async def _lose(self, in_doubt: int, error: BaseException) -> None:
        """End the producer: its last `in_doubt` events may or may not be in the record."""
        so_far = self._producer.committed
        self._ended.append({"producer": self._producer.uuid, "committed": so_far, "attempted": so_far + in_doubt})
        self._producer = _Producer()
        await self._disconnect()
        raise FateUnknown(str(error)) from error

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is not None and not is_cut(self._connection):
            return self._connection
        if self._connection is not None:  # lost while idle: nothing is in doubt, but its life is over
            await self._disconnect()
            self._producer = _Producer()
        try:
            self._connection = await psycopg.AsyncConnection.connect(
                self._address, autocommit=True, connect_timeout=2, application_name="mandate-record"
            )
        except psycopg.Error as error:
            message = f"no connection: {error}"
            raise NotWritten(message) from error
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()
