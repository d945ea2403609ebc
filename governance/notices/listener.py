"""Notices from the audit log: reads sealed events in order and queues a notice for each person concerned.

The cursor moves in the transaction that queues the notices, and the event's id keeps a notice from being queued twice:
a worker that is killed reads the unfinished events again. The actor of an event gets no notice of it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from audit import clock, stream
from audit.actions import Action
from audit.models import Event
from entitlements.grants.models import Grant
from governance.notices.models import Kind
from governance.webhooks import webhooks

from . import notifiers, queue
from .audience import Message

logger = logging.getLogger(__name__)
CURSOR: Final = "notices"
ENDS_SOON: Final = timedelta(days=7)
"""How long before a grant expires its notice is sent. A grant that lasts less than twice this causes none."""


def listen() -> int:
    """Tell what the next sealed events tell; says how many were read. On first use begins with what comes from now."""
    with stream.consume(CURSOR, from_now=True) as leaves:
        for sealed in stream.events(leaves):
            notify(sealed.event)
            notify_endpoints(sealed.event)
    return len(leaves)


def notify(event: Event) -> None:
    """Queue the notices of an event. An event that fails is logged and does not block the next one."""
    if event.outcome == "refused" or event.action not in Action:  # another release may know other events
        return
    notifier = notifiers.NOTIFIERS.get(Action(event.action))
    if notifier is None:
        return
    try:
        with transaction.atomic():
            for message in notifier(event):
                _queue(message, event)
    except Exception:  # one lost notice is better than blocking all later ones
        logger.exception("notices of event %s could not be queued", event.uuid)


def notify_endpoints(event: Event) -> None:
    """Queue an event for webhook endpoints, as `notify` does for people."""
    try:
        with transaction.atomic():
            webhooks.queue(event)
    except Exception:  # as above
        logger.exception("event %s could not be queued for endpoints", event.uuid)


def _queue(message: Message, event: Event) -> None:
    people = [person for person in message.people if person is not None and str(person.principal) != event.actor]
    queue.queue(
        message.kind,
        people,
        about=message.about,
        sentence=message.sentence,
        url=message.url,
        dedupe=message.dedupe or f"event {event.uuid}",
        urgent=message.urgent,
        waits=message.waits,
    )


def remind() -> int:
    """Tell an agent's owners that a grant of it expires within a week; return how many new notices were queued."""
    now = clock.now()
    long_enough = Q(expires_at__gt=F("starts_at") + 2 * ENDS_SOON)
    soon = Grant.objects.filter(
        long_enough, state=Grant.State.ACTIVE, expires_at__gt=now, expires_at__lte=now + ENDS_SOON
    )
    queued = 0
    for grant in soon.select_related("agent__sponsor", "agent__owner", "entitlement").iterator(chunk_size=500):
        with transaction.atomic():
            queued += queue.queue(
                Kind.GRANT_ENDING,
                [person for person in (grant.agent.sponsor, grant.agent.owner) if person is not None],
                about=f"grant:{grant.pk}",
                sentence=_("%(agent)s loses %(what)s on %(day)s.")
                % {**notifiers.names(grant), "day": f"{grant.expires_at:%Y-%m-%d}"},
                url=f"/grants/{grant.pk}/",
                dedupe=f"grant {grant.pk} ends {grant.expires_at:%Y-%m-%d}",
            )
    return queued
