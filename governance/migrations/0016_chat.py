"""Chat services that carry messages to the person who must decide, and the accounts of people there."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import migrations, models

_SERVICES = [("slack", "Slack"), ("teams", "Microsoft Teams")]
_CHANNELS = [("urgent", "Mail at once"), ("digest", "Mail of the day"), *_SERVICES]
_NOTICE = models.ForeignKey(
    "governance.notice", models.PROTECT, blank=True, null=True, related_name="chat_deliveries"
)
_CONNECTION = models.ForeignKey("governance.chatconnection", models.CASCADE, related_name="accounts")
_PERSON = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="chat_accounts")


def _key() -> models.BigAutoField[int, int]:
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    """Create the tables and columns, which the release before does not know."""

    dependencies: ClassVar = [
        ("governance", "0013_exception_register"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.AddField("delivery", "notice", _NOTICE),
        migrations.AddField("noticesettings", "chat_off", models.JSONField(db_default=[], default=list)),
        migrations.AlterField("delivery", "channel", models.CharField(choices=_CHANNELS, max_length=16)),
        migrations.CreateModel(
            "ChatConnection",
            [
                ("id", _key()),
                ("service", models.CharField(choices=_SERVICES, max_length=16, unique=True)),
                ("name", models.CharField(max_length=200)),
                ("app_id", models.CharField(blank=True, max_length=100)),
                ("tenant", models.CharField(blank=True, max_length=100)),
                ("sealed_token", models.BinaryField()),
                ("sealed_app_token", models.BinaryField(blank=True, null=True)),
                ("names_shown", models.BooleanField(default=False)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("error_at", models.DateTimeField(blank=True, null=True)),
                ("paused_until", models.DateTimeField(blank=True, null=True)),
                ("made_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            "chatconnection",
            models.CheckConstraint(name="chat_service_is_known", condition=models.Q(service__in=["slack", "teams"])),
        ),
        migrations.CreateModel(
            "ChatAccount",
            [
                ("id", _key()),
                ("email", models.CharField(max_length=254)),
                ("account", models.CharField(blank=True, max_length=200)),
                ("looked_up_at", models.DateTimeField()),
                ("person", _PERSON),
                ("connection", _CONNECTION),
            ],
            {"indexes": [models.Index(fields=["connection", "account"], name="chat_account_found")]},
        ),
        migrations.AddConstraint(
            "chataccount",
            models.UniqueConstraint(fields=("connection", "person"), name="one_chat_account_of_a_person"),
        ),
    ]
