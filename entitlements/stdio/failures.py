"""Why a local server ended or did not start, kept for its owner, and the event that one started."""

from __future__ import annotations

import contextlib
from typing import Final

from audit import draft
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.stdio.places import Owner, Write

_FAILED: Final = """
UPDATE entitlements_stdiosystem c SET problem = %s, stderr = %s, failed_at = clock_timestamp()
FROM entitlements_system y WHERE y.id = c.system_id AND y.slug = %s RETURNING c.system_id
"""


async def write_down(write: Write, closed: type[Exception], system: str, why: str, stderr: str) -> None:
    """Keep why one ended or did not start; that it cannot be kept, which `closed` says, changes no call."""
    with contextlib.suppress(closed):
        await write(_FAILED, [why, stderr, system])


def child_started(system: str, owner: Owner | None, node: str, level: str) -> draft.Draft:
    """Say that a local server was started on a node, for its owner or for all callers, and how far it is held."""
    agent, person = owner or ("", None)
    about = [f"system:{system}", *([] if person is None else [f"person:{person}"])]
    detail = {"node": node, "level": level, "agent": agent}
    return draft.draft(Action.STDIO_CHILD_STARTED, by=SYSTEM, about=about, detail=detail)
