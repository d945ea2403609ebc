"""`manage.py slack`: keep Slack's Socket Mode open. Several may run; Slack gives each envelope to one of them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand

from entitlements.access import caller as callers
from entitlements.people.models import Person
from governance.chat import messages, socket_mode
from governance.home_page.queries import queue


class Command(BaseCommand):
    """Answer `/mandate` and fill the app's home until stopped; wait while no app-level token is set up."""

    help = "Keep Slack's Socket Mode open: /mandate and the app's home. Runs until it is stopped."

    def handle(self, *_: object, **__: object) -> None:
        """Run."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        async_to_sync(socket_mode.run)(waits_for, stop.is_set)


def waits_for(person: Person) -> Sequence[messages.Waiting]:
    """Return what waits for a person's decision, as Home shows it."""
    rows = queue.of(callers.of(person), person)
    return [messages.Waiting(str(row.kind), row.title, row.risk, row.due) for row in rows if not row.may_wait]
