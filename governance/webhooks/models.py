"""Endpoints of other programs that subscribe to events, and the messages to them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from governance.notices.models import Outgoing, outgoing_constraints, outgoing_indexes


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


class WebhookMessage(Outgoing):
    """One message to one endpoint; `dedupe` keeps an event from being sent twice. `body` holds a link and no secret."""

    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="messages")
    event = models.CharField(max_length=64)
    dedupe = models.CharField(max_length=200)
    body = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="an_endpoint_is_told_the_same_once", fields=["webhook", "dedupe"]),
            *outgoing_constraints("message"),
        ]
        indexes: ClassVar = outgoing_indexes("message")

    def __str__(self) -> str:
        return self.dedupe

    def links(self) -> list[str]:
        """Return the links by which the audit log names it."""
        return [f"delivery:{self.pk}", f"webhook:{self.webhook.slug}"]
