"""What people are told: queued by verbs or read from the record, kept in an inbox, and mailed from an outbox."""

from .queueing import queue

__all__ = ["queue"]
