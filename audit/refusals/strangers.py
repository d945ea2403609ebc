"""The gateway's count of strangers: failures of whoever is not authenticated, one event a kind, source and minute.

Kept in memory by the event loop, so that a stranger costs no statement at all; what a killed process had counted in its
last minute is lost, and nothing else.
"""

from collections import Counter
from datetime import datetime

from audit import batch, clock, context, redaction
from audit.actions import Action
from audit.draft import draft
from audit.refusals import refusals

type _Key = tuple[datetime, str, str]


class Strangers:
    """Counts for one event loop: `count` each failure, `flush` now and then, `flush(everything=True)` at the end."""

    def __init__(self, writer: batch.Writer) -> None:
        self._writer = writer
        self._counts: Counter[_Key] = Counter()

    def count(self, kind: str, source: str) -> None:
        """Count one failure. Beyond refusals.MOST_SOURCES rows, new sources share one."""
        key = (refusals.minute_of(clock.now()), kind, redaction.text(source)[:100])
        if key not in self._counts and len(self._counts) >= refusals.MOST_SOURCES:
            key = (key[0], kind, "*")
        self._counts[key] += 1

    async def flush(self, *, everything: bool = False) -> int:
        """Write the minutes that are over as events; returns how many. What cannot be written is kept for later."""
        now = refusals.minute_of(clock.now())
        due = [key for key in self._counts if everything or key[0] < now]
        for key in due:
            count = self._counts.pop(key)
            minute, kind, source = key
            detail = {"minute": minute, "source": source, "count": count}
            event = draft(Action.AUTHENTICATION_FAILED, by=context.SYSTEM, outcome="refused", code=kind, detail=detail)
            try:
                await self._writer.write(event)
            except batch.NotWritten:
                self._counts[key] += count
                raise
        return len(due)
