"""What people and programs do with webhooks: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, Subject
from entitlements.api.fields import InputSerializer, Slug, Text
from governance.webhooks import delivery, webhooks
from governance.webhooks.models import Webhook, WebhookMessage
from governance.webhooks.trackers import Tracker


class TrackerInputSerializer(InputSerializer):
    """How a tracker is signed in to: `credential` alone is a bearer token, with a `user` a password or an API token.

    Of Jira, the key of the project and the type of the issues that are opened.
    """

    user = Text(max_length=200, required=False, allow_blank=True, default="")
    credential = Text(max_length=2000, trim_whitespace=False, write_only=True)
    project = Text(max_length=32, required=False, allow_blank=True, default="")
    issue_type = Text(max_length=60, required=False, allow_blank=True, default="")


class WebhookInputSerializer(InputSerializer):
    """A new endpoint: its address, the form of its messages, and the events it subscribes to.

    `tracker` is needed for ServiceNow and Jira, and for them alone.
    """

    slug = Slug()
    url = Text(max_length=2000)
    form = serializers.ChoiceField(choices=Webhook.Form.choices, default=Webhook.Form.STANDARD)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=[(str(event), str(event)) for event in webhooks.EVENTS]),
        min_length=1,
        max_length=50,
    )
    tracker = TrackerInputSerializer(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Give the tracker as the action takes it."""
        return {**attrs, "tracker": Tracker(**attrs["tracker"])} if "tracker" in attrs else attrs


WEBHOOK = Subject(lambda _caller: Webhook.objects.all(), lambda webhook: [f"webhook:{webhook.slug}"], ("slug",))
MESSAGE = Subject(
    lambda _caller: WebhookMessage.objects.select_related("webhook"),
    lambda message: [f"delivery:{message.pk}", f"webhook:{message.webhook.slug}"],
    by_key=True,
)

ADD = Action("webhooks", NEW, webhooks.make, input=WebhookInputSerializer)
ROTATE = Action("webhook-rotate", WEBHOOK, webhooks.rotate, reason_in_form=False)
TEST = Action(
    "webhook-test",
    WEBHOOK,
    webhooks.queue_test,
    reason_in_form=False,
    done=_("A test leaves within seconds. The list below shows what became of it."),
)
STOP = Action("webhook-stop", WEBHOOK, webhooks.stop, done=_("The webhook is stopped."))
START = Action("webhook-start", WEBHOOK, webhooks.start, done=_("The webhook receives events from now on."))
REPLAY = Action(
    "webhook-message-replay",
    MESSAGE,
    delivery.replay,
    reason_in_form=False,
    done=_("The message is sent again within seconds."),
)
