"""One gateway process: what it holds, how it starts and stops, and what a change of rights does to it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from audit import batch, clock
from audit.database import libpq
from entitlements import addresses, all_systems
from entitlements.budgets.leases import Leases
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import Accounts
from entitlements.connectors.relays import Facts, Relays
from entitlements.decisions import policy
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.decoys import decoy_tools as decoys
from entitlements.definition_watch.watch import DefinitionWatch
from entitlements.dpop import claims
from entitlements.node.bearer import Bearers
from entitlements.node.directory import Directory
from entitlements.node.isolation.isolation import Bounds, Isolation
from entitlements.node.isolation.pauses import Pauses
from entitlements.node.kept import KeptRows
from entitlements.node.metrics import numbers
from entitlements.node.reads import NodeReads, pool_of_readers
from entitlements.node.records import Recorder
from entitlements.node.refusals import Closed
from entitlements.node.shared.waiting_calls import WaitingCalls
from entitlements.node.snapshots import SnapshotInUse, Snapshots
from entitlements.node.strangers import Strangers
from entitlements.node.streams import CancelledCounts, OpenRequest, OpenRequests, digest_of
from entitlements.node.upstreams import Connections
from entitlements.node.writes import Writes
from entitlements.node_feed.change import Change
from entitlements.node_feed.feed import CANCELLATIONS, Feed
from entitlements.node_feed.lease import own_name
from entitlements.node_feed.worker_feed import Worker, WorkerFeed
from entitlements.node_messages.messages import NodeMessages
from entitlements.secret_scan.scan import SecretScan
from entitlements.stdio import failures
from entitlements.stdio.places import Places
from entitlements.stdio.sandbox.plan import Level
from entitlements.strict import known_uuid

SWEEP_SECONDS: Final = 1.0
FOR_GOOD: Final = frozenset({Code.TOKEN_REVOKED, Code.SESSION_ENDED})
_REFUSING: Final = frozenset({Effect.DENY, Effect.STEP_UP})
"""What never comes back, and so may be denied from memory."""
GRANT, SESSION, TOKEN = "grant", "session", "token"
"""Kinds of a change (`entitlements/feed/subjects.py`)."""
_HAND_OVER: Final = "SELECT pg_notify(%s, %s)"
_ACKNOWLEDGED: Final = """
SELECT 1 FROM entitlements_gatewaynode WHERE id = %s AND polled_at = %s AND NOT pg_is_in_recovery()
"""

logger = logging.getLogger(__name__)

type Rule = Callable[[Call, AgentFacts, float], Verdict]


class Node:
    """Everything that requests share. `start` and `stop` belong to the life of the server."""

    def __init__(self, worker: Worker | None = None) -> None:
        """Follow the change feed; as one worker of several, the listener of its host."""
        address = libpq.address(settings.DATABASES["default"])
        feed_address = libpq.address(settings.FEED_DATABASE)
        self.name = own_name() if worker is None else worker.name
        self.pool = pool_of_readers(address)
        self.snapshots = Snapshots(self.pool)
        self.kept = KeptRows(self.snapshots)
        self.directory = Directory(self.snapshots)
        self.bearers = Bearers(self.snapshots, self.directory)
        self.secrets = SecretScan(self.snapshots.query, lambda: self.directory.generation)
        confirms = None if feed_address == address else self._sees_feed
        cancel = self._take_cancellation
        self.feed: Feed | WorkerFeed = (
            Feed(feed_address, self.name, self.apply, confirms, cancel)
            if worker is None
            else WorkerFeed(worker.link, self.name, self.apply, confirms, cancel, partial(numbers.count, self))
        )
        self.writer = batch.Writer(address, claim=claims.WITH_EVENTS)
        self.recorder = Recorder(self.writer)
        self.strangers = Strangers(address)
        self.writes = Writes(self.pool)
        self.messages = NodeMessages(self.writes.run, self.snapshots.query, self.reads)
        self.relays = Relays(self.name, Facts(self.snapshots.query, self.writes.run, self.directory.get, Closed))
        self.places = Places(self.writes.run, self.name, lambda: self.feed.lapses)
        self.upstreams = Connections(
            self.snapshots, self.writes, self.directory, self.places, self._record_start, self.relays.dial
        )
        self.budgets = Leases(self.writes.run, self.pool)
        self.definitions = DefinitionWatch(self.name, self.writes.run, self.directory.get, self.relays.dial, Closed)
        self.upstreams.local.watch(self.definitions.changed)
        self.accounts = Accounts(self.snapshots.query, self.writes.run, Closed)
        self.opened = OpenRequests()
        self.waiting = WaitingCalls()
        self.cancelled_counts = CancelledCounts()
        self._has_warned = False
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.isolation = Isolation(
            Bounds(*settings.UPSTREAM_BOUNDS), Pauses(self.recorder, self.writes, self.name).note
        )
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open what serving needs. A database that is away stops nothing here: the node refuses until it is back."""
        clock.require_measured()
        await self.pool.open(wait=False)
        await self.writer.__aenter__()
        await self.feed.start()
        self._run(self._sweep())
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 50, 50)

    async def stop(self) -> None:
        """Refuse from now on, cut what is open, write what is to be written, and say that this node has stopped."""
        for request in self.opened.of(None):
            request.end("the gateway stops")
        await self.feed.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.definitions.close()
        await self.upstreams.close()
        await self.waiting.close()
        await self.relays.close()
        await self.budgets.close()
        await self.writer.close()
        await self.strangers.close()
        await self.pool.close()
        clock.forget()

    def reads(self) -> NodeReads:
        """Return the reads of one request at an issuer."""
        return NodeReads(self.snapshots, self.kept, self.check_open)

    def check_open(self) -> None:
        """Refuse to serve without a living lease and a trustworthy clock. Raises Closed."""
        if not self.feed.is_alive:
            raise Closed(Code.LEASE_LAPSED)

    def now(self) -> float:
        """Say what time it is, in epoch seconds. Raises Closed when we cannot know."""
        try:
            return clock.now().timestamp()
        except clock.ClockUnknown as why:
            raise Closed(Code.CLOCK_UNKNOWN) from why

    async def decide(self, call: Call, rule: Rule = policy.decide) -> tuple[Verdict, SnapshotInUse | None]:
        """Decide a call, or ask another rule of it, on facts that the feed has not passed. Raises Closed."""
        return await self.ask(rule, call)

    def still_allows(self, call: Call, held: SnapshotInUse | None) -> bool:
        """Say, without waiting for anything, whether a decision that was an allow still is one now. Raises Closed."""
        self.check_open()
        return held is not None and not held.is_dropped and policy.decide(call, held.facts, self.now()).allowed

    async def admits(self, call: Call) -> tuple[Verdict, SnapshotInUse | None]:
        """Decide whether the caller may see this system at all; having no grant yet is no hindrance. Raises Closed."""
        return await self.ask(policy.still_live, call)

    async def cancel(self, session: UUID, request_id: bytes) -> None:
        """Cut a legacy client's own call short: here, or at the node that carries it. Raises Closed.

        Of a session that hands over more than `MOST_CANCELLED` a second the others are not heard.
        """
        digest = digest_of(request_id)
        if not self.opened.cancel(session, digest) and self.cancelled_counts.take(session):
            await self.writes.run(_HAND_OVER, [CANCELLATIONS, f"{session} {digest}"])

    def _take_cancellation(self, notice: str) -> None:
        """Take what another node hands over. Anybody who may connect to the database can write to its channel."""
        if self.messages.hear(notice):
            return
        session, _, digest = notice.partition(" ")
        if (key := known_uuid(session)) is not None:
            self.opened.cancel(key, digest)
        elif not self._has_warned:
            self._has_warned = True
            logger.warning("cancellation_unreadable", extra={"node": self.name})

    @property
    def writer_is_running(self) -> bool:
        """Whether events can be handed to the record."""
        return self.recorder.is_running

    def _record_start(self, system: str, owner: tuple[str, str | None] | None, level: Level) -> None:
        """Record that a local server was started here, for whom, and how far it is held."""
        with contextlib.suppress(clock.ClockUnknown):
            self.recorder.eventually(failures.child_started(system, owner, self.name, level))

    def count(self, verdict: Verdict) -> None:
        """Count a decision for the metrics."""
        self.decisions[verdict.effect.value, verdict.code.value] += 1

    async def ask(self, rule: Rule, call: Call) -> tuple[Verdict, SnapshotInUse | None]:
        """Ask a rule about facts from memory; a denial is final only on facts that are read from now on."""
        self.check_open()
        arrived = time.monotonic()
        get = self.snapshots.get_with
        held, was_known = await get(call.key, call.system, partial(self._look_up, call))
        verdict = self._verdict(rule, call, held)
        if held is None or verdict.effect not in _REFUSING or verdict.code in FOR_GOOD:
            return verdict, held
        if held.began > arrived and not was_known:
            return verdict, held
        held, _ = await get(call.key, call.system, partial(self._look_up, call, again=was_known), after=arrived)
        return self._verdict(rule, call, held), held

    def _verdict(self, rule: Rule, call: Call, held: SnapshotInUse | None) -> Verdict:
        """Ask a rule now: the lease may have lapsed while the facts were read. Raises Closed."""
        self.check_open()
        return unknown() if held is None else rule(call, held.facts, self.now())

    async def _look_up(self, call: Call, held: SnapshotInUse, *, again: bool = False) -> bool:
        """Know the session, the token and the person of a call, as they are now if `again`; say whether all were."""
        presented, token = self.snapshots.presented, None if call.token is None else call.token.jti
        if call.person is not None:
            await self.snapshots.know_person(held, call.person)
        was_known = presented.is_known(call.key, call.session, token)
        if again or not was_known:
            await presented.look_up(call.key, call.session, token)
        return was_known

    async def _sees_feed(self, polled: datetime) -> bool:
        """Say whether the readers see this node's acknowledgement, so that both addresses lead to one database."""
        with contextlib.suppress(Closed):
            return bool(await self.snapshots.query(_ACKNOWLEDGED, [self.name, polled]))
        return False

    # ------------------------------------------------------------------------------------------- what changes do

    def apply(self, changes: Sequence[Change] | None) -> None:
        """Apply what the feed says; called in its order, before it acknowledges. Waits for nothing."""
        if changes is None:
            self.snapshots.forget()
            self.kept.forget()
            self._forget_shared()
            self._run(self._recheck(None))
            return
        for change in changes:
            self._apply_one(change)
        if all(change.agent is not None and not change.concerns_all for change in changes):
            for agent in {change.agent for change in changes}:
                self._run(self._recheck(agent))
        else:
            self._run(self._recheck(None))

    def _apply_one(self, change: Change) -> None:
        if change.concerns_all:
            self.snapshots.drop_all(change.seq)
            self.kept.drop_all(change.seq)
            self._forget_shared()
            return
        if change.kind in {SESSION, TOKEN} and any(name == f"{change.kind}_id" for name, _ in change.subjects):
            self._end_by_id(change)
            return
        self.kept.drop(change.subjects, change.seq)
        for column, key in change.subjects:
            if column == "client_session_id" and isinstance(key, UUID):
                self.opened.end_streams(key)
                self.upstreams.local.leave(key)
        if change.kind == GRANT and change.system is not None:
            self.snapshots.drop([("grants", f"{change.agent} {change.system}")], change.seq)
            return
        if change.agent is not None:
            self.snapshots.presented.look_again(change.agent)
        named = (
            *(("agent", change.agent), ("person", change.person), ("group", change.group)),
            *(("client", change.client), ("system", change.system)),
        )
        self.snapshots.drop([(kind, name) for kind, name in named if name is not None], change.seq)
        if change.kind == "signing_key":
            self.bearers.forget()
        if change.client is not None:
            self.bearers.forget_client(change.client)
        if change.system is not None:
            self.directory.forget_system(change.system)
            self.upstreams.forget_system(change.system)
            self.upstreams.follow(change.system)
            self.definitions.follow(change.system)
            self.relays.follow(change.system)

    def _end_by_id(self, change: Change) -> None:
        """Deny a session or a token from now on; no right of its agent is dropped."""
        column, presented = f"{change.kind}_id", self.snapshots.presented
        keys = [key for name, key in change.subjects if name == column]
        self.kept.drop([(column, key) for key in keys], change.seq)
        for key in keys:
            if change.kind == TOKEN:
                presented.end_token(str(key))
            else:
                presented.end_session(str(key), change.agent or "")

    def _forget_shared(self) -> None:
        self.directory.forget()
        self.bearers.forget()
        self.upstreams.follow(None)
        self.definitions.follow(None)
        self.relays.follow(None)

    async def _recheck(self, agent: str | None) -> None:
        """Cut what is open and no longer allowed, and end the sessions that no right stands behind."""
        for request in self.opened.of(agent):
            if not await self._may_go_on(request) or not await self._keeps_stream(request):
                request.end(Code.CALL_WITHDRAWN)
            elif request.tools is not None:
                await self.look_at_tools(request, self.snapshots.current(request.call.key, request.call.system))
        for system, key in self.upstreams.held():
            if agent in (None, key[0]) and not await self._is_live(system, key):
                self.upstreams.end(system, key)

    async def look_at_tools(self, stream: OpenRequest, held: SnapshotInUse | None) -> None:
        """See whether the tools that the client of a stream can see have changed; without facts, the next look does."""
        is_for_all = stream.call.system == addresses.ALL
        if stream.tools is None or held is None or (stream.tools.is_of(held) and not is_for_all):
            return
        with contextlib.suppress(Closed):
            facts = held.facts
            if is_for_all:
                facts = await all_systems.with_all(self.reads(), facts, addresses.ALL, System.SERVED)
            seen = policy.visible_tools(stream.call, facts, self.now())
            planted = await decoys.listed(self.reads(), stream.call.agent, stream.call.system)
            also = [(decoy.name, decoy.key) for decoy in decoys.visible(stream.call, facts, planted, self.now())]
            stream.tools.look(held, (*((tool.name, tool.version) for tool in seen), *also))

    async def _may_go_on(self, request: OpenRequest) -> bool:
        with contextlib.suppress(Closed):
            call, account = request.call, request.account
            if account is not None and not await self.accounts.is_open(account, call.client, call.agent):
                return False
            if not request.is_call:
                verdict, _ = await self.admits(request.call)
                return verdict.allowed or verdict.code is Code.NO_GRANT
            verdict, _ = await self.decide(request.call)
            return verdict.allowed or verdict.code is Code.TOKEN_EXPIRED
        return True  # we cannot know now; the lease decides, and the sweep asks again

    async def _keeps_stream(self, request: OpenRequest) -> bool:
        """Say whether what changed leaves a stream its reason: it ends with the last grant, and may be opened again."""
        if request.is_call or not request.ends_with_grants:
            return True
        call = request.call
        if call.system == addresses.ALL:  # it lasts as long as what was presented: no single grant is its reason
            return True
        return await self._is_live(call.system, (call.agent, call.person, call.client))

    async def _is_live(self, system: str, key: tuple[str, str | None, str]) -> bool:
        agent, person, client = key
        with contextlib.suppress(Closed):
            verdict, _ = await self.admits(Call(agent, client, person, system, "", {}))
            return verdict.allowed
        return True

    async def _sweep(self) -> None:
        """Every second: time passes too, and a node without a lease must not keep streams open."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self.feed.is_alive:
                for request in self.opened.of(None):
                    if not await self._may_go_on(request):
                        request.end(Code.CALL_WITHDRAWN)
            else:
                for request in self.opened.of(None):
                    request.end(Code.LEASE_LAPSED)
            if "gateway" in settings.EDGE_ROLES:  # an issuer alone speaks to no upstream, and may not write their rows
                self.upstreams.sweep()
                self.budgets.sweep()
                self.relays.sweep()
                if settings.LISTEN_TO_SYSTEMS:
                    self.definitions.sweep()
            with contextlib.suppress(Exception):
                await self.strangers.flush()

    def _run(self, job: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(job)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def unknown() -> Verdict:
    """Deny a caller whose agent or system is not there."""
    return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, (Reason(Code.AGENT_UNKNOWN, "No such agent is registered."),))
