"""The facts about each agent at each system, kept until a change of rights drops them.

A snapshot says how far the feed had come before it was read. One that the feed has passed meanwhile is thrown away and
read again, so what is decided on is never older than what this node has acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import psycopg_pool

from audit import batch
from entitlements.codes import Code
from entitlements.decisions import facts
from entitlements.decisions.snapshot import AgentFacts
from entitlements.guardrails import sets
from entitlements.node.presented import Presented
from entitlements.node.refusals import Closed
from entitlements.words import Status

MOST_KEPT: Final = 20_000
READ_WITHIN: Final = 2.0
NEVER: Final = float("-inf")
_MOST_TRIES: Final = 10
_MOST_PASSED: Final = 100_000
_BEGIN: Final = "BEGIN TRANSACTION READ ONLY"
_END: Final = "COMMIT"

type Connection = psycopg.AsyncConnection[Any]
type Pool = psycopg_pool.AsyncConnectionPool[Connection]
type Key = tuple[str, str]
type Subject = tuple[str, str | int]
"""Whose change concerns a snapshot: what it is, and the name or key that the facts have of it."""
type Values = Sequence[object] | Mapping[str, object]
type Rows = list[tuple[Any, ...]]
type LookUp = Callable[[SnapshotInUse], Awaitable[bool]]


@dataclass(slots=True, eq=False)
class SnapshotInUse:
    """A snapshot in use. `is_dropped` turns true the moment the feed passes it."""

    facts: AgentFacts
    system: str
    began: float = 0.0
    """When reading it began, by the monotonic clock."""
    is_dropped: bool = False


class Snapshots:
    """Reads and keeps snapshots, by agent and system; one read at a time for each.

    Agents of a delegation chain are named together (`chain_key`), and their facts are one snapshot.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.presented = Presented(self.query_many)
        self._held: dict[str, dict[str, SnapshotInUse]] = {}
        self._count = 0
        self._reading: dict[Key, asyncio.Task[SnapshotInUse | None]] = {}
        self._of: dict[Subject, set[SnapshotInUse]] = {}
        self._passed: dict[Subject, int] = {}
        self._passed_all = 0
        self._generation = 0
        self._given_up: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return self._count

    def current(self, agent: str, system: str) -> SnapshotInUse | None:
        """Return what is held, without waiting."""
        of_agent = self._held.get(agent)
        return None if of_agent is None else of_agent.get(system)

    async def get(self, agent: str, system: str, *, fresh: bool = False) -> SnapshotInUse | None:
        """Return what is held or read it; None when agent or system do not exist. Raises Closed (facts unknown)."""
        key = (agent, system)
        if not fresh and (held := self.current(agent, system)) is not None:
            return held
        task = self._reading.get(key)
        if task is None or fresh:
            task = asyncio.create_task(self._read(key))
            self._reading[key] = task
            task.add_done_callback(
                lambda done: self._reading.pop(key, None) if self._reading.get(key) is done else None
            )
        return await asyncio.shield(task)

    async def get_with(
        self, agent: str, system: str, look_up: LookUp, *, after: float = NEVER
    ) -> tuple[SnapshotInUse | None, bool]:
        """Return facts with what `look_up` adds to them, and its answer; None when agent or system do not exist.

        What the feed passes during a look-up decides nothing: it is read again and looked up anew. `after`, a moment of
        the monotonic clock, asks for facts whose reading began later. Raises Closed (facts unknown).
        """
        for _ in range(_MOST_TRIES):
            held = self.current(agent, system)
            if held is None or held.began <= after:
                held = await self.get(agent, system, fresh=after > NEVER)
            if held is None:
                return None, False
            answer = await look_up(held)
            if not held.is_dropped:
                return held, answer
        raise Closed(Code.FEED_UNKNOWN)

    def drop(self, subjects: Iterable[Subject], seq: int) -> None:
        """Throw away what was read before the change `seq` about any of these subjects."""
        if len(self._passed) >= _MOST_PASSED:  # what is being read at this moment is read again, whomever it is about
            self._passed_all = max(self._passed.values())
            self._passed.clear()
        for subject in subjects:
            self._passed[subject] = seq
            self._drop_older(self._of.get(subject, ()), seq)

    def drop_all(self, seq: int) -> None:
        """Throw away what was read about anybody before the change `seq`."""
        self.presented.forget()
        self._passed_all = seq
        self._passed.clear()
        self._drop_older(self._all(), seq)

    def forget(self) -> None:
        """Throw everything away, what is being read too: the feed begins again."""
        self._generation += 1
        self.presented.forget()
        self._passed.clear()
        self._passed_all = 0
        self._drop_older(self._all(), None)

    async def know_person(self, held: SnapshotInUse, login: str) -> None:
        """Learn about a person who holds nothing here, so that the answer can tell unknown from without a grant."""
        chained = (held.facts, *held.facts.behind)
        if all(login in known.people for known in chained):
            return
        passed = self._passed.get(("person", login))
        rows = await self.query(facts.PERSON, [login])
        if rows and not held.is_dropped and passed == self._passed.get(("person", login)):
            status = Status.ACTIVE if rows[0][0] else Status.DISABLED
            for known in chained:
                known.people = {**known.people, login: status}
            self._of.setdefault(("person", login), set()).add(held)

    async def query(self, statement: str, values: Values) -> Rows:
        """Run one read. Raises Closed (facts unknown) when the database does not answer in time."""
        (rows,) = await self.query_many((statement, values))
        return rows

    async def query_many(self, *reads: tuple[str, Values]) -> list[Rows]:
        """Run reads in this order in one round trip. Raises Closed (facts unknown), as `query` does."""

        async def read(connection: Connection) -> list[Rows]:
            return await read_only(connection, *reads)

        return await self._in_time(self._on_connection(read))

    async def _on_connection[T](self, read: Callable[[Connection], Awaitable[T]]) -> T:
        """Read over a connection of the pool. Where it turns out to be dead, replace all that are, and read once more.

        A failover or a restart cuts every connection, and only the next statement on each finds out.
        """
        async with self._pool.connection() as connection:
            try:
                return await read(connection)
            except psycopg.Error as why:
                if not batch.is_farewell(why, connection):
                    raise
        await self._pool.check()
        async with self._pool.connection() as connection:
            return await read(connection)

    async def _in_time[T](self, reading: Coroutine[Any, Any, T]) -> T:
        """Wait no longer than READ_WITHIN: a connection that hangs takes its time to be cancelled.

        The bound is kept here, since a server-side one is a setting of the session, which a pooler shares with others.
        psycopg cancels the statement on the server and takes in what is left of its answer; where that fails it closes
        the connection, so the pool never lends one that still works for this reader.
        """
        task = asyncio.create_task(reading)
        await asyncio.wait({task}, timeout=READ_WITHIN)
        if not task.done():
            task.cancel()
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)
            raise Closed(Code.FEED_UNKNOWN)
        try:
            return task.result()
        except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, OSError) as why:
            raise Closed(Code.FEED_UNKNOWN) from why

    async def _read(self, key: Key) -> SnapshotInUse | None:
        for _ in range(_MOST_TRIES):
            generation, began = self._generation, time.monotonic()
            agent_facts = await self._in_time(self._query_facts(key))
            if agent_facts is None:
                return None
            if generation == self._generation and agent_facts.position >= self._passed_of(agent_facts, key[1]):
                held = SnapshotInUse(agent_facts, key[1], began)
                self._keep(key, held)
                return held
        raise Closed(Code.FEED_UNKNOWN)

    async def _query_facts(self, key: Key) -> AgentFacts | None:
        agents, system = key[0].split(" "), key[1]
        sessions, dead_tokens = self.presented.sessions_of(agents[-1]), self.presented.revoked_tokens

        async def read(connection: Connection) -> AgentFacts | None:
            asked = [
                (facts.PRINCIPALS, [agents[0], system]),  # first: it reads how far the feed has come
                *((facts.PRINCIPALS, [agent, system]) for agent in agents[1:]),
                *((facts.LINES, [agent, system]) for agent in agents),
                (facts.TOOLS, [system]),
            ]
            *rows, tools = await read_only(connection, *asked)
            principals, lines = rows[: len(agents)], rows[len(agents) :]
            if not all(principals):
                return None
            for newest in sets.unread(one[0] for one in principals):
                (guardrails,) = await read_only(connection, (sets.GUARDRAILS, [newest]))
                sets.keep(newest, guardrails)
            if unread := facts.unread_schemas(tools):
                (schemas,) = await read_only(connection, (facts.SCHEMAS, [system, unread]))
                facts.keep_schemas(schemas)
            known, *behind = [
                facts.build(one[0], held, tools, sessions=sessions, dead_tokens=dead_tokens)
                for one, held in zip(principals, lines, strict=True)
            ]
            return facts.together(known, behind)

        return await self._on_connection(read)

    def _passed_of(self, known: AgentFacts, system: str) -> int:
        """Return the last change that concerns these facts."""
        return max(self._passed_all, *(self._passed.get(subject, 0) for subject in _subjects(known, system)))

    def _all(self) -> list[SnapshotInUse]:
        return [held for of_agent in self._held.values() for held in of_agent.values()]

    def _drop_older(self, which: Iterable[SnapshotInUse], seq: int | None) -> None:
        for held in list(which):
            if seq is None or held.facts.position < seq:
                self._drop(held)

    def _drop(self, held: SnapshotInUse) -> None:
        held.is_dropped = True
        agent = held.facts.key
        of_agent = self._held[agent]
        del of_agent[held.system]
        self._count -= 1
        if not of_agent:
            del self._held[agent]
        for subject in _subjects(held.facts, held.system):
            concerned = self._of.get(subject, set())
            concerned.discard(held)
            if not concerned:
                self._of.pop(subject, None)

    def _keep(self, key: Key, held: SnapshotInUse) -> None:
        agent, system = key
        if (before := self.current(agent, system)) is not None:
            self._drop(before)
        while self._count >= MOST_KEPT:
            self._drop_older(list(self._held[next(iter(self._held))].values()), None)
        self._held.setdefault(agent, {})[system] = held
        self._count += 1
        for subject in _subjects(held.facts, system):
            self._of.setdefault(subject, set()).add(held)


def _subjects(known: AgentFacts, system: str) -> Iterator[Subject]:
    """Name everybody whose change concerns these facts. A tool's names its system, a grant's its agent there.

    A change of any agent of a delegation chain concerns them, and of those who answer for it.
    """
    for behind in known.behind:
        yield from _subjects(behind, system)
    yield "agent", known.agent
    yield "system", system
    yield "grants", f"{known.agent} {system}"
    yield from (("group", group) for group in known.groups)
    yield from (("client", client) for client in known.clients)
    yield from (("person", login) for login in known.people.keys() | known.answer_for_it)


async def read_only(connection: Connection, *reads: tuple[str, Values]) -> list[Rows]:
    """Run reads in this order, in one read-only transaction and one round trip; the database refuses any that writes.

    The transaction says so itself: a setting of the session would be refused by a transaction pooler, or stay behind
    for the next client. Raises psycopg.Error.
    """
    async with connection.pipeline():
        await connection.execute(_BEGIN)
        cursors = [await connection.execute(statement, values, prepare=True) for statement, values in reads]
        await connection.execute(_END)
    return [await cursor.fetchall() for cursor in cursors]
