"""Endpoints of other programs: add one, rotate its secret, stop it; and queue messages about events for it.

A message is a fixed sentence and a link to a page of the console. It holds no name, no reason and no secret, and
opening the link decides nothing. Messages are signed as https://www.standardwebhooks.com requires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from audit.models import Event
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.secrets import seal
from entitlements.upstream import egress
from governance.webhooks.models import Webhook, WebhookMessage

from . import trackers
from .trackers import NO_TRACKER, Tracker

PREFIX: Final = "whsec_"
OVERLAP: Final = timedelta(hours=24)
"""How long the previous secret still signs after a rotation."""
TEST: Final = "webhook.test"
EVENTS: Final[Mapping[str, Any]] = {
    Action.REQUEST_SUBMITTED: gettext_lazy("Access was requested"),
    Action.APPROVAL_GIVEN: gettext_lazy("A request was approved"),
    Action.APPROVAL_DENIED: gettext_lazy("A request was denied"),
    Action.REQUEST_EXPIRED: gettext_lazy("A request was not answered in time"),
    Action.GRANT_ISSUED: gettext_lazy("Access was given"),
    Action.GRANT_REVOKED: gettext_lazy("Access was revoked"),
    Action.GRANT_EXPIRED: gettext_lazy("Access expired"),
    Action.AGENT_SUSPENDED: gettext_lazy("An agent was suspended"),
    Action.TOKEN_FAMILY_REUSED: gettext_lazy("A sign-in at a client was used twice, and ended"),
    Action.RISK_SIGNALLED: gettext_lazy("A risk signal was noted about an agent, person or session"),
    Action.DECOY_TOUCHED: gettext_lazy("A decoy was touched"),
    Action.ISSUER_KEYS_UNREACHABLE: gettext_lazy("The keys of an issuer cannot be read"),
    Action.ANCHOR_UNREACHABLE: gettext_lazy("An anchor of the audit log gets no checkpoints"),
    Action.BACKUP_FAILED: gettext_lazy("A backup failed"),
    Action.BACKUP_OVERDUE: gettext_lazy("A backup is overdue"),
    Action.CONNECTOR_UNREACHABLE: gettext_lazy("A connector is connected to no node"),
    Action.SYSTEM_CALLS_PAUSED: gettext_lazy("Calls to a system are paused since it fails"),
    Action.KILL_SWITCH_ENGAGED: gettext_lazy("Everything was stopped"),
    Action.REVOCATION_SETTLED: gettext_lazy("A revocation was applied everywhere"),
    Action.BREAK_GLASS_DECLARED: gettext_lazy("Break-glass access was given, without approval"),
    Action.BREAK_GLASS_ENDED: gettext_lazy("Break-glass access ended, and waits for its review"),
    Action.BREAK_GLASS_REVIEWED: gettext_lazy("Break-glass access was reviewed"),
    Action.TOOL_QUARANTINED: gettext_lazy("A tool was quarantined until a person reviews it"),
    Action.SYSTEM_DISABLED: gettext_lazy("A system was disabled"),
    Action.SOD_EXCEPTION_GIVEN: gettext_lazy("An exception from an SoD policy was given"),
    Action.CAMPAIGN_ACTIVATED: gettext_lazy("An access review began"),
    Action.CAMPAIGN_CLOSED: gettext_lazy("An access review was closed"),
    Action.PEOPLE_SOURCE_PAUSED: gettext_lazy("A people source was paused"),
    Action.SETUP_TESTED: gettext_lazy("A part of the set-up was tested"),
}
"""The events that an endpoint can subscribe to, each with the sentence that is sent."""
_PAGES: Final = {
    "emergency": "emergencies",
    "grant": "grants",
    "request": "requests",
    "agent": "agents",
    "campaign": "reviews",
    "system": "systems",
}
_KEY_BYTES: Final = 32


class WebhookTaken(DomainError):
    """A webhook with this short name exists. Choose another short name."""

    code, status = "webhook_taken", HTTPStatus.CONFLICT


class UnknownEvent(DomainError):
    """A webhook needs at least one event, and each must be one of those that are offered."""

    code, status = "unknown_event", HTTPStatus.UNPROCESSABLE_ENTITY


class WebhookStopped(DomainError):
    """The webhook is stopped, so nothing is sent to it. Start it first."""

    code, status = "webhook_stopped", HTTPStatus.CONFLICT


@transaction.atomic
def make(
    slug: str, *, url: str, form: str, events: Collection[str], by: Principal, tracker: Tracker = NO_TRACKER
) -> tuple[Webhook, str]:
    """Add an endpoint, and return it with its secret, which is shown only now. One of a tracker has a credential.

    Raises WebhookTaken, UnknownEvent, trackers.TrackerUnusable and, for an address that the product does not connect
    to, egress.ForbiddenAddress.
    """
    trackers.check(form, tracker)
    if not events or set(events) - set(EVENTS):
        raise UnknownEvent
    parts, secret = egress.check_url(url), _secret()
    values: dict[str, Any] = {
        "form": Webhook.Form(form),
        "host": parts.netloc[:300],
        "events": sorted(map(str, events)),
        "sealed_url": seal.seal(url.encode(), _place(slug, "address")),
        "sealed_secret": seal.seal(secret.encode(), _place(slug, "secret")),
        "options": tracker.options(form),
        "made_at": clock.now(),
    }
    if tracker.credential:
        values["sealed_credential"] = seal.seal(tracker.authorization().encode(), _place(slug, "credential"))
    try:
        with transaction.atomic():
            webhook = Webhook.objects.create(slug=slug, **values)
    except IntegrityError as error:
        raise WebhookTaken(slug=slug) from error
    detail = {name: values[name] for name in ("form", "host", "events", "options")}
    log.record(Action.WEBHOOK_MADE, about=[f"webhook:{slug}"], by=by, detail=detail)
    return webhook, secret


@transaction.atomic
def rotate(webhook: Webhook, *, by: Principal, reason: str = "") -> str:
    """Give an endpoint a new secret and return it, shown only now; the previous one signs beside it for a day."""
    locked, secret = lock(webhook), _secret()
    locked.sealed_previous, locked.previous_until = locked.sealed_secret, clock.now() + OVERLAP
    locked.sealed_secret = seal.seal(secret.encode(), _place(locked.slug, "secret"))
    locked.save(update_fields=["sealed_previous", "previous_until", "sealed_secret"])
    log.record(Action.WEBHOOK_SECRET_ROTATED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    return secret


@transaction.atomic
def stop(webhook: Webhook, *, by: Principal, reason: str) -> Webhook:
    """Stop an endpoint and drop the messages that wait for it. Twice records nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    locked = lock(webhook)
    if locked.enabled:
        locked.enabled, locked.answer = False, reason[:300]
        locked.save(update_fields=["enabled", "answer"])
        locked.messages.filter(state=WebhookMessage.State.WAITING).update(state=WebhookMessage.State.DEAD)
        log.record(Action.WEBHOOK_STOPPED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    return locked


@transaction.atomic
def start(webhook: Webhook, *, by: Principal, reason: str) -> Webhook:
    """Send a stopped endpoint the events from now on. Twice records nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    locked = lock(webhook)
    if not locked.enabled:
        locked.enabled, locked.answer = True, ""
        locked.save(update_fields=["enabled", "answer"])
        log.record(Action.WEBHOOK_STARTED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    return locked


@transaction.atomic
def queue_test(webhook: Webhook, *, by: Principal, reason: str = "") -> WebhookMessage:
    """Queue a message that says that it is a test; it leaves like any other. Raises WebhookStopped."""
    locked = lock(webhook)
    if not locked.enabled:
        raise WebhookStopped
    log.record(Action.WEBHOOK_TESTED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    now, sentence = clock.now(), _("This is a test. If you can read it, Mandate reaches you.")
    url = f"{settings.CONSOLE_URL}/settings/notices/webhooks/{locked.slug}/"
    return WebhookMessage.objects.create(
        webhook=locked,
        event=TEST,
        dedupe=f"test {now.isoformat()} {secrets.token_hex(4)}",
        body=_body(locked, TEST, now, sentence, url, {}),
        next_at=now,
        made_at=now,
    )


def lock(webhook: Webhook) -> Webhook:
    """Lock an endpoint until the transaction ends, and return its current row. Raises NotFound."""
    locked = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk).first()
    if locked is None:
        raise NotFound
    return locked


def queue(event: Event) -> None:
    """Queue a message for each endpoint that subscribes to an event, in the transaction of the log's reader."""
    if event.outcome == "refused" or event.action not in EVENTS:
        return
    now, sentence, url = clock.now(), str(EVENTS[event.action]), _page(event)
    about = {"id": str(event.uuid), "about": [link for link in event.about if not link.startswith("person:")]}
    WebhookMessage.objects.bulk_create(
        [
            WebhookMessage(
                webhook=webhook,
                event=event.action,
                dedupe=f"event {event.uuid}",
                body=_body(webhook, event.action, event.at, sentence, url, about),
                next_at=now,
                made_at=now,
            )
            for webhook in Webhook.objects.filter(enabled=True, events__contains=[str(event.action)])
        ],
        ignore_conflicts=True,
    )


def _page(event: Event) -> str:
    """Return the address of the page about an event, or else of the audit log."""
    for link in event.about:
        kind, _colon, key = link.partition(":")
        if kind in _PAGES:
            return f"{settings.CONSOLE_URL}/{_PAGES[kind]}/{quote(key, safe='')}/"
    return f"{settings.CONSOLE_URL}/audit/" + (f"?about={quote(event.about[0], safe=':')}" if event.about else "")


def _body(
    webhook: Webhook, event: str, at: datetime, sentence: str, url: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a message: as Standard Webhooks does, for a chat as one line with a link, for a tracker as an issue."""
    form = webhook.form
    if form in trackers.FORMS:
        return trackers.issue(form, webhook.options, trackers.EventMessage(event, sentence, url, about))
    if form == Webhook.Form.SLACK:
        return {"text": f"{sentence}: <{url}|{_('look at it')}>"}
    if form == Webhook.Form.TEAMS:
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{"type": "TextBlock", "text": sentence, "wrap": True}],
            "actions": [{"type": "Action.OpenUrl", "title": _("Look at it"), "url": url}],
        }
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}
    return {"type": event, "timestamp": at.isoformat(), "data": {"says": sentence, "url": url, **about}}


# ------------------------------------------------------------------------------------------------ sealed values


def address(webhook: Webhook) -> str:
    """Return the address that messages are sent to. Raises SealBroken."""
    return seal.unseal(bytes(webhook.sealed_url), _place(webhook.slug, "address")).decode()


def authorization(webhook: Webhook) -> str:
    """Return the `Authorization` header for a tracker; empty for other endpoints. Raises SealBroken."""
    if webhook.sealed_credential is None:
        return ""
    return seal.unseal(bytes(webhook.sealed_credential), _place(webhook.slug, "credential")).decode()


def signatures(webhook: Webhook, message_id: str, at: int, body: bytes) -> str:
    """Sign a message: one signature, and for a day after a rotation also one by the previous secret."""
    sealed = [webhook.sealed_secret]
    if webhook.sealed_previous and webhook.previous_until and webhook.previous_until > clock.now():
        sealed.append(webhook.sealed_previous)
    keys = [seal.unseal(bytes(secret), _place(webhook.slug, "secret")).decode() for secret in sealed]
    return " ".join(f"v1,{_signature(key, message_id, at, body)}" for key in keys)


def _signature(secret: str, message_id: str, at: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.digest(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    return base64.b64encode(signed).decode()


def _secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _place(slug: str, what: str) -> str:
    return f"webhook-{what}:{slug}"


@transaction.atomic
def reseal(most: int) -> int:
    """Reseal up to `most` endpoints that lie under another key-encryption key; return how many. Raises SealBroken."""
    others = Webhook.objects.annotate(
        begins=Substr("sealed_secret", 1, seal.BEGINNING, output_field=BinaryField())
    ).exclude(begins=seal.beginning())
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed_url = seal.reseal(bytes(row.sealed_url), _place(row.slug, "address"))
        row.sealed_secret = seal.reseal(bytes(row.sealed_secret), _place(row.slug, "secret"))
        if row.sealed_previous:
            row.sealed_previous = seal.reseal(bytes(row.sealed_previous), _place(row.slug, "secret"))
        if row.sealed_credential:
            row.sealed_credential = seal.reseal(bytes(row.sealed_credential), _place(row.slug, "credential"))
        row.save(update_fields=["sealed_url", "sealed_secret", "sealed_previous", "sealed_credential"])
    return len(rows)
