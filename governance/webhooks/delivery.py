"""Messages to endpoints: claimed and sent as mail is, until the endpoint takes one, or given up after ten attempts."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.errors import DomainError
from entitlements.upstream import egress
from governance.mail import outbox
from governance.webhooks.models import Webhook, WebhookMessage

from . import webhooks

SECONDS: Final = 15.0
_State = WebhookMessage.State


def send_next() -> bool:
    """Send the due message that has waited longest; return whether there was one."""
    claimed = outbox.claim(_enabled().select_related("webhook"))
    if claimed is None:
        return False
    body, at = (
        json.dumps(claimed.body, ensure_ascii=False, separators=(",", ":")).encode(),
        int(clock.now().timestamp()),
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mandate",
        "webhook-id": str(claimed.pk),
        "webhook-timestamp": str(at),
        "webhook-signature": webhooks.signatures(claimed.webhook, str(claimed.pk), at, body),
    }
    if claimed.webhook.form != Webhook.Form.STANDARD:  # a chat or a tracker has no secret to check them with
        headers = {name: value for name, value in headers.items() if not name.startswith("webhook-")}
    if authorization := webhooks.authorization(claimed.webhook):
        headers |= {"Accept": "application/json", "Authorization": authorization}
    try:
        status = asyncio.run(egress.post(webhooks.address(claimed.webhook), body, headers, seconds=SECONDS))
    except DomainError as problem:
        outbox.failed(claimed, problem.message)
        return True
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        outbox.mine(claimed).update(state=_State.SENT, sent_at=clock.now(), answer=str(status))
    elif status == HTTPStatus.GONE:
        outbox.mine(claimed).update(state=_State.DEAD, answer=str(status))
        webhooks.stop(claimed.webhook, by=SYSTEM, reason="The endpoint answered 410 (gone).")
    else:
        outbox.failed(claimed, str(status))
    return True


def next_due() -> datetime | None:
    """Return when the next message is due."""
    return outbox.first_due(_enabled())


def _enabled() -> QuerySet[WebhookMessage]:
    return WebhookMessage.objects.filter(webhook__enabled=True)


@transaction.atomic
def replay(message_id: UUID, *, by: Principal, reason: str = "") -> WebhookMessage:
    """Try again a message that was given up. Raises NotFound, outbox.NotGivenUp, webhooks.WebhookStopped."""
    message = outbox.retry(WebhookMessage.objects.select_related("webhook"), message_id, by=by, reason=reason)
    if not message.webhook.enabled:
        raise webhooks.WebhookStopped
    return message
