"""What the record and the pages say of a pause: that a node leaves a system alone, since when, and that it is over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from audit import clock, draft
from audit.actions import Action
from audit.context import SYSTEM
from audit.draft import Draft
from entitlements.node.records import Recorder
from entitlements.node.refusals import Closed
from entitlements.node.writes import Writes

BEGAN: Final = """
INSERT INTO entitlements_systempause AS p (system_id, node, since, failures)
SELECT y.id, %(node)s, clock_timestamp(), %(failures)s FROM entitlements_system y WHERE y.slug = %(system)s
ON CONFLICT (system_id, node) DO UPDATE SET since = EXCLUDED.since, failures = EXCLUDED.failures
RETURNING p.id
"""
OVER: Final = """
DELETE FROM entitlements_systempause p USING entitlements_system y
WHERE y.id = p.system_id AND p.node = %(node)s AND y.slug = %(system)s RETURNING p.id
"""


class Pauses:
    """Says of each pause of one node when it begins and when it is over, one after the other."""

    def __init__(self, recorder: Recorder, writes: Writes, node: str) -> None:
        self._recorder, self._writes, self._node = recorder, writes, node
        self._lock = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    def note(self, system: str, failures: int) -> None:
        """Note a pause after so many failures in a row; with 0, that it is over."""
        with contextlib.suppress(clock.ClockUnknown):
            self._recorder.eventually(event(system, self._node, failures))
        task = asyncio.create_task(self._keep(system, failures))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _keep(self, system: str, failures: int) -> None:
        values = {"system": system, "node": self._node, "failures": failures}
        async with self._lock:
            with contextlib.suppress(Closed):
                await self._writes.run(BEGAN if failures else OVER, values)


def event(system: str, node: str, failures: int) -> Draft:
    """Return the event that a node begins to leave a system alone, or with 0 that this is over."""
    action = Action.SYSTEM_CALLS_PAUSED if failures else Action.SYSTEM_CALLS_RESUMED
    detail: dict[str, object] = {"node": node, "failures": failures} if failures else {"node": node}
    return draft.draft(action, by=SYSTEM, about=[f"system:{system}"], detail=detail)
