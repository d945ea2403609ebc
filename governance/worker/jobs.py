"""What the worker's loop does: jobs that have to follow within a moment, and the word that wakes each.

The words are those of `sql/wakes.sql`. A job is a task of either floor's `tasks.py`: it does what it finds, and returns
when there will be more, where it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Job:
    """One job. One that waits for servers of others runs apart from those that do not."""

    task: str
    wakes: str
    waits_for_others: bool = False
    pause: float = 1.0
    """Seconds between two starts: what comes meanwhile is done together. The first start never waits."""


JOBS: Final = (
    Job("entitlements.tasks.follow_security_events", "security_event"),
    Job("governance.tasks.follow_decoys", "decoy"),
    Job("entitlements.tasks.detect_drift", "sealed"),
    Job("governance.tasks.detect_risk", "sealed"),
    Job("governance.tasks.queue_notices", "sealed"),
    Job("entitlements.tasks.transmit_security_events", "sealed"),
    Job("entitlements.tasks.compare_definitions", "comparison"),
    Job("entitlements.tasks.watch_documents", "document"),
    Job("governance.tasks.resume_staging", "staging"),
    Job("governance.tasks.resume_sealing", "evidence"),
    Job("governance.tasks.resume_what_ifs", "what_if"),
    Job("entitlements.tasks.push_security_events", "stream", waits_for_others=True),
    Job("entitlements.tasks.poll_security_events", "poll", waits_for_others=True),
    Job("governance.tasks.send_notices", "delivery", waits_for_others=True),
    Job("governance.tasks.post_chat_messages", "delivery", waits_for_others=True),
    Job("governance.tasks.post_webhooks", "webhook", waits_for_others=True),
)
