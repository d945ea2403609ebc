"""Ticket references, trackers, the exception register, the posture report, and chat services."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT, Q

_TICKET = {"blank": True, "db_default": "", "default": "", "max_length": 64}
_SERVICES = [("slack", "Slack"), ("teams", "Microsoft Teams")]
_CHANNELS = [("urgent", "Mail at once"), ("digest", "Mail of the day"), *_SERVICES]
_WEBHOOKS = [("standard", "Standard Webhooks"), *_SERVICES, ("servicenow", "ServiceNow"), ("jira", "Jira")]
_FORMS = Q(form__in=["standard", "slack", "teams"], sealed_credential=None) | Q(form__in=["servicenow", "jira"], sealed_credential__isnull=False)
_KINDS = [
    ("request_waiting", "A request waits for me"),
    ("request_decided", "A request of mine was answered or narrowed"),
    ("grant_ending", "Access is about to end"),
    ("grant_revoked", "Access was taken back"),
    ("agent_stopped", "An agent of mine was stopped"),
    ("tool_quarantined", "A tool changed and was stopped"),
    ("office_proposed", "I am asked to answer for an agent"),
    ("credential", "A credential of an agent of mine waits or changed"),
    ("delegated", "A person answers in another's place"),
    ("emergency", "Access was given in an emergency"),
    ("review_waiting", "A review waits for me"),
    ("posture_report", "A posture report is ready"),
    ("risk", "A sign that an agent or person is compromised"),
    ("setup_lost", "Part of the set-up no longer works"),
]
_NOTICE = models.ForeignKey("governance.notice", PROTECT, blank=True, null=True, related_name="chat_deliveries")
_CONNECTION = models.ForeignKey("governance.chatconnection", models.CASCADE, related_name="accounts")
_PERSON = models.ForeignKey(settings.AUTH_USER_MODEL, PROTECT, related_name="chat_accounts")
_MADE_BY = models.ForeignKey(settings.AUTH_USER_MODEL, PROTECT, db_index=False, related_name="+")


def _key() -> models.BigAutoField[int, int]:
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    """Create the tables and columns, which the release before does not know; the register is a view of `sql/`."""

    dependencies: ClassVar = [("entitlements", "0022_limits_of_admin_roles"), ("governance", "0011_agent_summaries")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="TicketPolicy",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("patterns", models.JSONField(default=list)),
                ("needs", models.JSONField(default=dict)),
                ("made_at", models.DateTimeField()),
                ("made_by", _MADE_BY),
            ],
        ),
        *(migrations.AddField(model, "ticket", models.CharField(**_TICKET)) for model in ("accessrequest", "breakglassgrant", "sodexception")),
        migrations.AddField("webhook", "sealed_credential", models.BinaryField(blank=True, null=True)),
        migrations.AddField("webhook", "options", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
        migrations.AlterField("webhook", "form", models.CharField(choices=_WEBHOOKS, max_length=16)),
        migrations.RemoveConstraint("webhook", "webhook_form_is_known"),
        migrations.AddConstraint("webhook", models.CheckConstraint(condition=_FORMS, name="webhook_form_is_known_and_fits_its_credential")),
        migrations.CreateModel(
            name="RegisteredException",
            fields=[("key", models.CharField(max_length=64, primary_key=True, serialize=False))],
            options={"db_table": "governance_exceptionregister", "managed": False},
        ),
        migrations.CreateModel(
            name="PostureSnapshot",
            fields=[
                ("id", _key()),
                ("month", models.DateField()),
                ("department", models.CharField(blank=True, max_length=300, null=True)),
                ("figures", models.JSONField()),
                ("biggest", models.JSONField(default=list)),
                ("taken_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["department", "-month"], name="snapshot_of_department")],
                "constraints": [
                    models.UniqueConstraint(fields=("month", "department"), name="one_snapshot_of_a_month_and_department", nulls_distinct=False),
                    models.CheckConstraint(condition=Q(month__day=1), name="a_snapshot_is_of_a_whole_month"),
                ],
            },
        ),
        migrations.AlterField("notice", "kind", models.CharField(choices=_KINDS, max_length=32)),
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
        migrations.AddConstraint("chatconnection", models.CheckConstraint(name="chat_service_is_known", condition=Q(service__in=["slack", "teams"]))),
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
        migrations.AddConstraint("chataccount", models.UniqueConstraint(fields=("connection", "person"), name="one_chat_account_of_a_person")),
    ]
