"""Webhooks over REST: endpoints of other programs, and the messages that left for them or did not."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.webhooks import actions
from governance.webhooks.models import Webhook, WebhookMessage


class WebhookSerializer(OutputSerializer):
    """One endpoint. Of its address only the host is shown; `secret` is filled in only when it was made just now."""

    slug = serializers.CharField()
    form = serializers.ChoiceField(choices=Webhook.Form.choices)
    host = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    options = serializers.DictField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    answer = serializers.CharField()
    previous_until = serializers.DateTimeField(allow_null=True)
    made_at = serializers.DateTimeField()
    secret = serializers.SerializerMethodField(allow_null=True)

    def get_secret(self, _webhook: Webhook) -> str | None:
        """Return the secret that was made in this request."""
        secret: str | None = self.context.get("secret")
        return secret


class MessageSerializer(OutputSerializer):
    """One message: its endpoint, its state, and the last answer."""

    id = serializers.UUIDField()
    webhook = serializers.CharField(source="webhook.slug")
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=WebhookMessage.State.choices)
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField()
    answer = serializers.CharField()
    made_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)


class WebhookFilter(filters.FilterSet):
    """Filters by form, and by whether it is enabled."""

    form = filters.ChoiceFilter(choices=Webhook.Form.choices)
    enabled = filters.BooleanFilter()

    class Meta:
        model = Webhook
        fields: ClassVar[list[str]] = []


class MessageFilter(filters.FilterSet):
    """Filters by endpoint, event and state."""

    webhook = filters.CharFilter(field_name="webhook__slug")
    event = filters.CharFilter()
    state = filters.ChoiceFilter(choices=WebhookMessage.State.choices)

    class Meta:
        model = WebhookMessage
        fields: ClassVar[list[str]] = []


class _WebhookResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = actions.WEBHOOK
    shown: ClassVar[type[OutputSerializer]] = WebhookSerializer

    def with_secret(self, webhook: Webhook, secret: str, status: int) -> Response:
        """Answer with an endpoint and the secret that was just made."""
        context = {**self.get_serializer_context(), "secret": secret}
        return Response(WebhookSerializer(webhook, context=context).data, status=status)


class Webhooks(_WebhookResource, Listing, CreateEndpoint):
    """List webhooks, and add one.

    get: List webhooks.
    post: Add a webhook. Its secret is shown in this answer alone.
    """

    action = actions.ADD
    filterset_class = WebhookFilter
    ordering = ("slug",)
    shown_once = frozenset({"secret"})

    def answer(self, performed: Performed) -> Response:
        """Answer with the endpoint; its secret is in this answer alone."""
        webhook, secret = performed.result
        return self.with_secret(webhook, secret, HTTPStatus.CREATED)


class WebhookDetail(_WebhookResource, Detail):
    """Show a webhook."""


class RotateWebhook(_WebhookResource, ActionEndpoint):
    """Rotate the secret of a webhook. The new secret is shown in this answer alone."""

    action = actions.ROTATE
    shown_once = frozenset({"secret"})

    def answer(self, performed: Performed) -> Response:
        """Answer with the new secret; for a day the previous one signs as well."""
        return self.with_secret(self.find_row(), performed.result, HTTPStatus.OK)


class TestWebhook(_WebhookResource, ActionEndpoint):
    """Send a test message to a webhook."""

    action = actions.TEST
    shows_result = True
    shown = MessageSerializer


class StopWebhook(_WebhookResource, ActionEndpoint):
    """Stop a webhook. Nothing is sent to it any more."""

    action = actions.STOP


class StartWebhook(_WebhookResource, ActionEndpoint):
    """Start a stopped webhook."""

    action = actions.START


class _MessageResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = actions.MESSAGE
    shown: ClassVar[type[OutputSerializer]] = MessageSerializer


class Messages(_MessageResource, Listing):
    """List webhook messages, the newest first."""

    filterset_class = MessageFilter
    ordering = ("-made_at", "-id")


class ReplayMessage(_MessageResource, ActionEndpoint):
    """Send a webhook message again that was given up."""

    action = actions.REPLAY
