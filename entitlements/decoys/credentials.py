"""Decoy credentials at a door: whether what was presented in vain is one, and what is recorded of that.

Only what opens nothing is held against them, so no request that passes pays for it. The secrets themselves are not
known here: a digest of what was presented is looked up among digests, which tells no one how near a guess was.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from django.db import transaction

from audit import clock, context, draft, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.draft import Draft
from entitlements.decisions.reads import Reads

from .models import Decoy

HELD: Final = """
SELECT coalesce(json_object_agg(d.digest, json_build_array(d.id::text, a.slug)), '{}')::text
FROM entitlements_decoy d JOIN entitlements_decoyagent l ON l.decoy_id = d.id
JOIN entitlements_agent a ON a.id = l.agent_id WHERE d.digest <> '' AND d.ended_at IS NULL
"""
REFUSED: Final = "credential_refused"
"""The code of a touch by a credential."""
RECORD: Final = """
SELECT record_decoy_touch_v1(%s::uuid, %s::timestamptz, %s::uuid, %s::text[], %s::text, %s::text, %s::text)
"""
"""How an issuer's node records a touch, with the parameters of `parameters`."""
_EVERY_AGENT: Final = (("agent_id", None),)
_AGAIN_AFTER: Final = 60.0
_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A decoy credential that was presented, and the agent in whose surroundings it lies."""

    key: str
    agent: str


class RecentTouches:
    """What was recorded in the last minute: many uses of a credential from one address are one record a minute."""

    def __init__(self) -> None:
        self._at: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def is_new(self, key: str, door: str, source: str) -> bool:
        """Say whether a use is to be recorded, and remember it."""
        now, use = clock.now().timestamp(), (key, door, source)
        if now - self._at.get(use, 0.0) < _AGAIN_AFTER:
            return False
        self._at[use] = now
        self._at.move_to_end(use)
        while len(self._at) > _MOST_REMEMBERED:
            self._at.popitem(last=False)
        return True


RECENT: Final = RecentTouches()
"""That of this process."""


def digest(secret: str) -> str:
    """Return what is stored of a decoy credential: a fast hash suffices for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def presented(reads: Reads, secrets: Iterable[str]) -> Found | None:
    """Return the decoy among what was presented; None where there is none."""
    rows = await reads.kept(HELD, [], lambda _rows: _EVERY_AGENT)
    held = json.loads(rows[0][0]) if rows else {}
    return next((Found(*held[each]) for each in map(digest, secrets) if each in held), None)


def event(found: Found, door: str, source: str, *, about: Iterable[str] = ()) -> Draft | None:
    """Return what is recorded of a use; None where it was recorded a moment ago. `about` links who else is known."""
    if not RECENT.is_new(found.key, door, source):
        return None
    links = (f"decoy:{found.key}", f"agent:{found.agent}", *about)
    with context.acting(source=source):
        return draft.draft(
            Action.DECOY_TOUCHED, by=SYSTEM, about=links, outcome="failure", code=REFUSED, detail={"door": door}
        )


def parameters(touch: Draft) -> list[Any]:
    """Return the parameters of RECORD: the event is the first of a producer of its own."""
    producer = uuid4()
    halves = touch.halves(producer, touch.at)
    return [producer, touch.at, touch.uuid, touch.links, touch.trace, *halves]


def note_at_api(secret: str) -> bool:
    """Record that a decoy was presented to our API, in a transaction of its own; says whether it was one."""
    row = Decoy.objects.filter(digest=digest(secret), ended_at=None).prefetch_related("agents").first()
    if row is None:
        return False
    if RECENT.is_new(str(row.pk), "api", context.current().source):
        links = [f"decoy:{row.pk}", f"agent:{row.agents.get().slug}"]
        with transaction.atomic(durable=True):
            log.record(
                Action.DECOY_TOUCHED, by=SYSTEM, about=links, outcome="failure", code=REFUSED, detail={"door": "api"}
            )
    return True
