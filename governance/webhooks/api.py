"""Webhooks over REST: endpoints of other programs, and the messages that left for them or did not."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Act, Listing, Look, Resource
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Slug, Text
from entitlements.api.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.webhooks import delivery, webhooks
from governance.webhooks.models import Webhook, WebhookMessage

_EVENTS = [(str(event), str(event)) for event in webhooks.EVENTS]


class WebhookInputSerializer(InputSerializer):
    """A new endpoint: its address, the form of its messages, and the events it subscribes to."""

    slug = Slug()
    url = Text(max_length=2000)
    form = serializers.ChoiceField(choices=Webhook.Form.choices, default=Webhook.Form.STANDARD)
    events = serializers.ListField(child=serializers.ChoiceField(choices=_EVENTS), min_length=1, max_length=50)


class WebhookSerializer(OutputSerializer):
    """One endpoint. Of its address only the host is shown; `secret` is filled in only when it was made just now."""

    slug = serializers.CharField()
    form = serializers.ChoiceField(choices=Webhook.Form.choices)
    host = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
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
    shown: ClassVar[type[OutputSerializer]] = WebhookSerializer
    lookup = "slug"

    def rows(self) -> QuerySet[Webhook]:
        return Webhook.objects.all()

    def links(self, found: Webhook) -> list[str]:
        return [f"webhook:{found.slug}"]

    def with_secret(self, webhook: Webhook, secret: str, status: int) -> Response:
        """Answer with an endpoint and the secret that was just made."""
        context = {**self.get_serializer_context(), "secret": secret}
        return Response(WebhookSerializer(webhook, context=context).data, status=status)


class Webhooks(_WebhookResource, Listing):
    """List the webhooks, or add one."""

    filterset_class = WebhookFilter
    ordering = ("slug",)
    asked = WebhookInputSerializer
    answers = HTTPStatus.CREATED
    shown_once = frozenset({"secret"})

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Add an endpoint; its secret is in this answer alone."""
        webhook, secret = webhooks.make(**self.body(WebhookInputSerializer), by=self.principal)
        return self.with_secret(webhook, secret, HTTPStatus.CREATED)


class WebhookDetail(_WebhookResource, Look):
    """Show a webhook."""


class RotateWebhook(_WebhookResource):
    """Give a webhook a new secret, shown only in the answer."""

    asked = ReasonInputSerializer
    shown_once = frozenset({"secret"})

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Give it a new secret, shown only in this answer; for a day the previous one signs as well."""
        webhook = self.found()
        self.permit(webhook, *self.links(webhook))
        self.body(ReasonInputSerializer)
        secret = webhooks.rotate(webhook, by=self.principal)
        return self.with_secret(self.found(), secret, HTTPStatus.OK)


class TestWebhook(_WebhookResource):
    """Send a webhook a test message."""

    asked = ReasonInputSerializer

    @extend_schema(responses=MessageSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Queue a message that says that it is a test; `/webhook-messages` shows what became of it."""
        webhook = self.found()
        self.permit(webhook, *self.links(webhook))
        message = webhooks.queue_test(webhook, by=self.principal, reason=self.body(ReasonInputSerializer)["reason"])
        return Response(MessageSerializer(message).data)


class StopWebhook(_WebhookResource, Act):
    """Stop a webhook: nothing is sent to it any more."""

    verb = staticmethod(webhooks.stop)


class StartWebhook(_WebhookResource, Act):
    """Start a stopped webhook."""

    verb = staticmethod(webhooks.start)


class _MessageResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = MessageSerializer

    def rows(self) -> QuerySet[WebhookMessage]:
        return WebhookMessage.objects.select_related("webhook")

    def links(self, found: WebhookMessage) -> list[str]:
        return [f"delivery:{found.pk}", f"webhook:{found.webhook.slug}"]


class Messages(_MessageResource, Listing):
    """List the messages to webhooks, newest first."""

    filterset_class = MessageFilter
    ordering = ("-made_at", "-id")


class ReplayMessage(_MessageResource, Act):
    """Try again a message that was given up."""

    @staticmethod
    def verb(message: WebhookMessage, **by_and_reason: Any) -> WebhookMessage:  # noqa: ANN401 - a person and a text
        """Try it again."""
        return delivery.replay(message.pk, **by_and_reason)
