"""The chat services that carry messages, and the account that each person has there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class ChatConnection(models.Model):
    """One chat service that Mandate may write in, at most one of each. Its secrets are stored sealed.

    `names_shown`: whether messages name agents, people, entitlements and reviews. Nothing is sent before
    `paused_until`, which is how long the service asked to wait. `error` is what it answered last, when it refused.
    """

    class Service(models.TextChoices):
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"

    service = models.CharField(max_length=16, choices=Service.choices, unique=True)
    name = models.CharField(max_length=200)
    app_id = models.CharField(max_length=100, blank=True)
    tenant = models.CharField(max_length=100, blank=True)
    sealed_token = models.BinaryField()
    sealed_app_token = models.BinaryField(null=True, blank=True)
    names_shown = models.BooleanField(default=False)
    error = models.CharField(max_length=300, blank=True)
    error_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="chat_service_is_known", condition=Q(service__in=["slack", "teams"])),
        ]

    def __str__(self) -> str:
        return self.service


class ChatAccount(models.Model):
    """The account of one person at one chat service, found by their e-mail address; empty where there is none."""

    connection = models.ForeignKey(ChatConnection, on_delete=models.CASCADE, related_name="accounts")
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="chat_accounts")
    email = models.CharField(max_length=254)
    account = models.CharField(max_length=200, blank=True)
    looked_up_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_chat_account_of_a_person", fields=["connection", "person"]),
        ]
        indexes: ClassVar = [models.Index(name="chat_account_found", fields=["connection", "account"])]

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.person_id}"
