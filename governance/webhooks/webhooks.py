"""Endpoints of other programs: add one, give it another secret, stop it; and what it is told of an event.

A message is a sentence of ours and a link to a page of ours: no name, no reason and no secret leaves by it, and nothing
is decided by opening the link. Messages are signed as https://www.standardwebhooks.com demands.
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

PREFIX: Final = "whsec_"
OVERLAP: Final = timedelta(hours=24)
"""How long the secret before a rotation still signs."""
TEST: Final = "webhook.test"
EVENTS: Final[Mapping[str, Any]] = {
    Action.REQUEST_SUBMITTED: gettext_lazy("Somebody asks for access"),
    Action.APPROVAL_GIVEN: gettext_lazy("A request was approved"),
    Action.APPROVAL_DENIED: gettext_lazy("A request was denied"),
    Action.REQUEST_EXPIRED: gettext_lazy("A request was not answered in time"),
    Action.GRANT_ISSUED: gettext_lazy("Access was given"),
    Action.GRANT_REVOKED: gettext_lazy("Access was taken back"),
    Action.GRANT_EXPIRED: gettext_lazy("Access ended in time"),
    Action.AGENT_SUSPENDED: gettext_lazy("An agent was stopped"),
    Action.EVERYTHING_STOPPED: gettext_lazy("Everything was stopped"),
    Action.REVOCATION_SETTLED: gettext_lazy("A stop was carried out everywhere"),
    Action.EMERGENCY_DECLARED: gettext_lazy("Access was given in an emergency, without approval"),
    Action.EMERGENCY_OVER: gettext_lazy("Emergency access ended, and waits to be reviewed"),
    Action.EMERGENCY_REVIEWED: gettext_lazy("Emergency access was reviewed"),
    Action.TOOL_QUARANTINED: gettext_lazy("A tool was stopped until somebody looks"),
    Action.SYSTEM_DISABLED: gettext_lazy("A system was stopped"),
    Action.COMBINATION_EXCEPTION_GIVEN: gettext_lazy("An exception from a rule was given"),
    Action.CAMPAIGN_ACTIVATED: gettext_lazy("A review began"),
    Action.CAMPAIGN_CLOSED: gettext_lazy("A review was closed"),
    Action.PEOPLE_SOURCE_PAUSED: gettext_lazy("A people source was paused"),
    Action.SETUP_TESTED: gettext_lazy("A part of the set-up was tested"),
}
"""What an endpoint can be told, in words."""
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
    """A webhook of this short name exists."""

    code, status = "webhook_taken", HTTPStatus.CONFLICT


class UnknownEvent(DomainError):
    """A webhook is told at least one of the events that are offered, and no other."""

    code, status = "unknown_event", HTTPStatus.UNPROCESSABLE_ENTITY


class WebhookStopped(DomainError):
    """The webhook is stopped, so nothing is sent to it."""

    code, status = "webhook_stopped", HTTPStatus.CONFLICT


@transaction.atomic
def make(slug: str, *, url: str, form: str, events: Collection[str], by: Principal) -> tuple[Webhook, str]:
    """Add an endpoint; returns it with its secret, which is shown this once.

    Raises WebhookTaken, UnknownEvent and, for an address that we do not connect to, egress.ForbiddenAddress.
    """
    if not events or set(events) - set(EVENTS):
        raise UnknownEvent
    parts, secret = egress.check_url(url), _secret()
    values: dict[str, Any] = {
        "form": Webhook.Form(form),
        "host": parts.netloc[:300],
        "events": sorted(map(str, events)),
        "sealed_url": seal.seal(url.encode(), _place(slug, "address")),
        "sealed_secret": seal.seal(secret.encode(), _place(slug, "secret")),
        "made_at": clock.now(),
    }
    try:
        with transaction.atomic():
            made = Webhook.objects.create(slug=slug, **values)
    except IntegrityError as error:
        raise WebhookTaken(slug=slug) from error
    detail = {name: values[name] for name in ("form", "host", "events")}
    log.record(Action.WEBHOOK_MADE, about=[f"webhook:{slug}"], by=by, detail=detail)
    return made, secret


@transaction.atomic
def rotate(webhook: Webhook, *, by: Principal) -> str:
    """Give an endpoint another secret and return it, shown this once; the one before signs beside it for a day."""
    locked, secret = lock(webhook), _secret()
    locked.sealed_previous, locked.previous_until = locked.sealed_secret, clock.now() + OVERLAP
    locked.sealed_secret = seal.seal(secret.encode(), _place(locked.slug, "secret"))
    locked.save(update_fields=["sealed_previous", "previous_until", "sealed_secret"])
    log.record(Action.WEBHOOK_SECRET_ROTATED, about=[f"webhook:{locked.slug}"], by=by)
    return secret


@transaction.atomic
def stop(webhook: Webhook, *, by: Principal, reason: str) -> Webhook:
    """Tell an endpoint nothing more; what waited for it is given up. Twice records nothing. Raises ReasonRequired."""
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
    """Tell a stopped endpoint what happens from now on. Twice records nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    locked = lock(webhook)
    if not locked.enabled:
        locked.enabled, locked.answer = True, ""
        locked.save(update_fields=["enabled", "answer"])
        log.record(Action.WEBHOOK_STARTED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    return locked


@transaction.atomic
def say_test(webhook: Webhook, *, by: Principal, reason: str = "") -> WebhookMessage:
    """Write down a message that says it is a test; it leaves like any other. Raises WebhookStopped."""
    locked = lock(webhook)
    if not locked.enabled:
        raise WebhookStopped
    log.record(Action.WEBHOOK_TESTED, about=[f"webhook:{locked.slug}"], by=by, reason=reason)
    now, said = clock.now(), _("This is a test. If you can read it, Mandate reaches you.")
    url = f"{settings.CONSOLE_URL}/settings/notices/webhooks/{locked.slug}/"
    return WebhookMessage.objects.create(
        webhook=locked,
        event=TEST,
        dedupe=f"test {now.isoformat()} {secrets.token_hex(4)}",
        body=_body(locked.form, TEST, now, said, url, {}),
        next_at=now,
        made_at=now,
    )


def lock(webhook: Webhook) -> Webhook:
    """Hold an endpoint until the transaction ends; returns the row as it is. Raises NotFound."""
    found = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk).first()
    if found is None:
        raise NotFound
    return found


def note(event: Event) -> None:
    """Write down what an event tells each endpoint that wants to hear of it. Needs the transaction of the reader."""
    if event.outcome == "refused" or event.action not in EVENTS:
        return
    now, said, url = clock.now(), str(EVENTS[event.action]), _page(event)
    about = {"id": str(event.uuid), "about": [link for link in event.about if not link.startswith("person:")]}
    WebhookMessage.objects.bulk_create(
        [
            WebhookMessage(
                webhook=each,
                event=event.action,
                dedupe=f"event {event.uuid}",
                body=_body(each.form, event.action, event.at, said, url, about),
                next_at=now,
                made_at=now,
            )
            for each in Webhook.objects.filter(enabled=True, events__contains=[str(event.action)])
        ],
        ignore_conflicts=True,
    )


def _page(event: Event) -> str:
    """Return the address of the page about it; else of the record, which shows whoever may what happened."""
    for link in event.about:
        kind, _colon, key = link.partition(":")
        if kind in _PAGES:
            return f"{settings.CONSOLE_URL}/{_PAGES[kind]}/{quote(key, safe='')}/"
    return f"{settings.CONSOLE_URL}/audit/" + (f"?about={quote(event.about[0], safe=':')}" if event.about else "")


def _body(form: str, event: str, at: datetime, said: str, url: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write a message: for programs as Standard Webhooks does, for a chat as one line with a link."""
    if form == Webhook.Form.SLACK:
        return {"text": f"{said}: <{url}|{_('look at it')}>"}
    if form == Webhook.Form.TEAMS:
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{"type": "TextBlock", "text": said, "wrap": True}],
            "actions": [{"type": "Action.OpenUrl", "title": _("Look at it"), "url": url}],
        }
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}
    return {"type": event, "timestamp": at.isoformat(), "data": {"says": said, "url": url, **about}}


# ------------------------------------------------------------------------------------------------ what lies sealed


def address(webhook: Webhook) -> str:
    """Return where a message is sent to. Raises SealBroken."""
    return seal.unseal(bytes(webhook.sealed_url), _place(webhook.slug, "address")).decode()


def signatures(webhook: Webhook, message_id: str, at: int, body: bytes) -> str:
    """Sign a message: one signature, and for a day after a rotation that of the secret before as well."""
    sealed = [webhook.sealed_secret]
    if webhook.sealed_previous and webhook.previous_until and webhook.previous_until > clock.now():
        sealed.append(webhook.sealed_previous)
    keys = [seal.unseal(bytes(each), _place(webhook.slug, "secret")).decode() for each in sealed]
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
    """Seal anew up to `most` endpoints that lie under another key-encryption key; says how many. Raises SealBroken."""
    others = Webhook.objects.annotate(
        begins=Substr("sealed_secret", 1, seal.BEGINNING, output_field=BinaryField())
    ).exclude(begins=seal.beginning())
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed_url = seal.reseal(bytes(row.sealed_url), _place(row.slug, "address"))
        row.sealed_secret = seal.reseal(bytes(row.sealed_secret), _place(row.slug, "secret"))
        if row.sealed_previous:
            row.sealed_previous = seal.reseal(bytes(row.sealed_previous), _place(row.slug, "secret"))
        row.save(update_fields=["sealed_url", "sealed_secret", "sealed_previous"])
    return len(rows)
