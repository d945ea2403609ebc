"""Waits until all nodes have applied a change that a node itself made, as revocations wait for theirs.

A node has applied a change when it has acknowledged the change's place in the feed, or serves nothing because its lease
has lapsed. So this never waits much longer than a lease.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from entitlements.decisions.reads import Rows, Values
from entitlements.feed.changes import LEASE_SECONDS

LONGEST_WAIT: Final = 2 * LEASE_SECONDS
"""Seconds. A lease counts by the database's clock, as the nodes say it; twice its length is more than any needs."""
_SOON, _PATIENCE, _LATER = 0.004, 0.2, 0.02
"""Seconds between two looks: often while an answer is a matter of milliseconds, then seldom."""
_BEHIND: Final = """
SELECT count(*) FROM entitlements_gatewaynode n
WHERE n.stopped_at IS NULL AND n.polled_at + make_interval(secs => %s::float8) > clock_timestamp()
  AND n.position < coalesce((SELECT seq FROM entitlements_change WHERE id = %s),
                            (SELECT max(seq) FROM entitlements_change), 0)
"""

type Query = Callable[[str, Values], Awaitable[Rows]]


async def have_applied(query: Query, change: int | None) -> bool:
    """Wait until no node that serves stands before a committed change, by its id; None stands for all there are.

    Returns False where that did not come about in `LONGEST_WAIT`. Raises what `query` raises.
    """
    began = time.monotonic()
    while (await query(_BEHIND, [LEASE_SECONDS, change]))[0][0]:
        waited = time.monotonic() - began
        if waited > LONGEST_WAIT:
            return False
        await asyncio.sleep(_SOON if waited < _PATIENCE else _LATER)
    return True
