"""What people are told: queued by verbs or read from the record, kept in an inbox, and mailed from an outbox."""

from .hearing import listen, remind
from .outbox import mark_bad, post_digests, replay, send_one
from .posting import post_one
from .queueing import mark_read, queue
from .told import review_begins

__all__ = [
    "listen",
    "mark_bad",
    "mark_read",
    "post_digests",
    "post_one",
    "queue",
    "remind",
    "replay",
    "review_begins",
    "send_one",
]
