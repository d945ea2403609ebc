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

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import DomainError, NotFound
from entitlements.upstream import egress
from governance.mail import outbox
from governance.webhooks.models import Webhook, WebhookMessage

from . import webhooks

SECONDS: Final = 15.0
_State = WebhookMessage.State


def send_next() -> bool:
    """Send the due message that has waited longest; return whether there was one."""
    claimed = _claim()
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
        _failed(claimed, problem.message)
        return True
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        _mine(claimed).update(state=_State.SENT, sent_at=clock.now(), answer=str(status))
    elif status == HTTPStatus.GONE:
        _mine(claimed).update(state=_State.DEAD, answer=str(status))
        webhooks.stop(claimed.webhook, by=SYSTEM, reason="The endpoint answered 410 (gone).")
    else:
        _failed(claimed, str(status))
    return True


def next_due() -> datetime | None:
    """Return when the next message is due."""
    waiting = WebhookMessage.objects.filter(state=_State.WAITING, webhook__enabled=True)
    return waiting.order_by("next_at").values_list("next_at", flat=True).first()


@transaction.atomic
def _claim() -> WebhookMessage | None:
    """Claim the next due message, and set when another process tries it again if this one dies."""
    due = WebhookMessage.objects.filter(state=_State.WAITING, webhook__enabled=True, next_at__lte=clock.now())
    locked = due.order_by("next_at", "pk").select_for_update(of=("self",), skip_locked=True)
    message = locked.select_related("webhook").first()
    if message is None:
        return None
    message.attempts += 1
    message.next_at = clock.now() + outbox.retry_delay(message.attempts)
    message.save(update_fields=["attempts", "next_at"])
    return message


def _mine(claimed: WebhookMessage) -> QuerySet[WebhookMessage]:
    """Return the row, unless another process has claimed it since."""
    return WebhookMessage.objects.filter(pk=claimed.pk, state=_State.WAITING, attempts=claimed.attempts)


@transaction.atomic
def _failed(claimed: WebhookMessage, answer: str) -> None:
    if claimed.attempts < outbox.MOST_ATTEMPTS:
        _mine(claimed).update(answer=answer[:300])
    elif _mine(claimed).update(state=_State.DEAD, answer=answer[:300]):
        log.record(Action.DELIVERY_GIVEN_UP, about=_about(claimed), by=SYSTEM, detail={"attempts": claimed.attempts})


@transaction.atomic
def replay(message_id: UUID, *, by: Principal, reason: str = "") -> WebhookMessage:
    """Try again a message that was given up. Raises NotFound, outbox.NotGivenUp, webhooks.WebhookStopped."""
    rows = WebhookMessage.objects.select_for_update(of=("self",)).select_related("webhook")
    if (message := rows.filter(pk=message_id).first()) is None:
        raise NotFound
    if message.state != _State.DEAD:
        raise outbox.NotGivenUp
    if not message.webhook.enabled:
        raise webhooks.WebhookStopped
    message.state, message.attempts, message.next_at = _State.WAITING, 0, clock.now()
    message.save(update_fields=["state", "attempts", "next_at"])
    log.record(Action.DELIVERY_REPLAYED, about=_about(message), by=by, reason=reason)
    return message


def _about(message: WebhookMessage) -> list[str]:
    return [f"delivery:{message.pk}", f"webhook:{message.webhook.slug}"]
