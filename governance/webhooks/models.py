"""Endpoints of other programs that subscribe to events, and the messages to them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Webhook(models.Model):
    """One endpoint. Its address and secret are stored sealed, since the address of a chat's webhook is its key as well.

    After a rotation the previous secret signs beside the new one until `previous_until`. Nothing is sent to a stopped
    endpoint; `answer` says why it was stopped. A tracker, which opens an issue for each event, has a credential, stored
    sealed, and `options`: of Jira the key of the project and the type of the issue.
    """

    class Form(models.TextChoices):
        STANDARD = "standard", "Standard Webhooks"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        SERVICENOW = "servicenow", "ServiceNow"
        JIRA = "jira", "Jira"

    slug = models.SlugField(max_length=64, unique=True)
    form = models.CharField(max_length=16, choices=Form.choices)
    host = models.CharField(max_length=300)
    events = models.JSONField(default=list)
    sealed_url = models.BinaryField()
    sealed_secret = models.BinaryField()
    sealed_previous = models.BinaryField(null=True, blank=True)
    sealed_credential = models.BinaryField(null=True, blank=True)
    options = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    previous_until = models.DateTimeField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    answer = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="webhook_form_is_known_and_fits_its_credential",
                condition=Q(form__in=["standard", "slack", "teams"], sealed_credential=None)
                | Q(form__in=["servicenow", "jira"], sealed_credential__isnull=False),
            ),
            models.CheckConstraint(
                name="a_secret_before_has_an_end",
                condition=Q(sealed_previous=None, previous_until=None)
                | Q(sealed_previous__isnull=False, previous_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class WebhookMessage(models.Model):
    """One message to one endpoint; `dedupe` keeps an event from being sent twice. `body` holds a link and no secret."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="messages")
    event = models.CharField(max_length=64)
    dedupe = models.CharField(max_length=200)
    body = models.JSONField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    answer = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="an_endpoint_is_told_the_same_once", fields=["webhook", "dedupe"]),
            models.CheckConstraint(
                name="a_message_says_when_exactly_if_it_was_sent",
                condition=Q(state="sent", sent_at__isnull=False) | (~Q(state="sent") & Q(sent_at=None)),
            ),
            models.CheckConstraint(name="message_state_is_known", condition=Q(state__in=["waiting", "sent", "dead"])),
        ]
        indexes: ClassVar = [
            models.Index(name="message_due", fields=["next_at"], condition=Q(state="waiting")),
            models.Index(name="message_page", fields=["-made_at", "-id"]),
        ]

    def __str__(self) -> str:
        return self.dedupe
