"""The inbox: notices are queued in the transaction of the change that they report, so they exist only if it does."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from audit import clock
from entitlements.people.models import Person
from governance.chat import delivery
from governance.mail import outbox, text
from governance.notices.models import Kind, Notice


def queue(
    kind: Kind,
    people: Iterable[Person],
    *,
    about: str,
    sentence: str,
    url: str,
    dedupe: str,
    urgent: bool = False,
    waits: bool = False,
) -> int:
    """Put a notice into the inbox of each active person; return for how many it was new. Needs a transaction.

    `about` is a link "kind:id", `url` a path of the console, and `dedupe` names what happened (an event's id, or
    "grant:7 ends"): a person gets the notice once, however often this is called. `urgent` mails it at once.
    With `waits` the person must decide something, so the connected chat services carry it as well. Foreign names in the
    sentence are made harmless.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("Queue notices in the transaction of the change that they report.")
    now, shown = clock.now(), text.plain(sentence)
    notices = [
        Notice(
            person=person,
            kind=Kind(kind),
            about=about[:200],
            sentence=shown,
            url=url,
            urgent=urgent,
            dedupe=dedupe,
            made_at=now,
        )
        for person in {person.pk: person for person in people if person.is_active}.values()
    ]
    Notice.objects.bulk_create(notices, ignore_conflicts=True)
    new = Notice.objects.filter(pk__in=[notice.pk for notice in notices]).select_related("person__notice_settings")
    if urgent:
        for notice in new:
            outbox.post_at_once(notice)
    if waits:
        delivery.queue(new)
    return len(new)


def mark_read(person: Person, notice_id: UUID | None = None) -> int:
    """Mark one of a person's notices as read, or all of them; return how many were unread."""
    unread = Notice.objects.filter(person=person, read_at=None)
    return (unread if notice_id is None else unread.filter(pk=notice_id)).update(read_at=clock.now())
