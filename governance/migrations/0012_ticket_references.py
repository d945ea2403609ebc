"""Ticket references: their settings, the column of what names one, and webhooks that open an issue in a tracker."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_TICKET = {"blank": True, "db_default": "", "default": "", "max_length": 64}
_PERSON = {"db_index": False, "on_delete": django.db.models.deletion.PROTECT, "related_name": "+"}
_CHOICES = [
    ("standard", "Standard Webhooks"),
    ("slack", "Slack"),
    ("teams", "Microsoft Teams"),
    ("servicenow", "ServiceNow"),
    ("jira", "Jira"),
]
_FORMS = Q(form__in=["standard", "slack", "teams"], sealed_credential=None) | Q(
    form__in=["servicenow", "jira"], sealed_credential__isnull=False
)


class Migration(migrations.Migration):
    """Add the table and the columns, which the release before does not know."""

    dependencies: ClassVar = [("entitlements", "0022_limits_of_admin_roles"), ("governance", "0011_agent_summaries")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TicketPolicy",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("patterns", models.JSONField(default=list)),
                ("needs", models.JSONField(default=dict)),
                ("made_at", models.DateTimeField()),
                ("made_by", models.ForeignKey(to=settings.AUTH_USER_MODEL, **_PERSON)),
            ],
        ),
        *(
            migrations.AddField(model, "ticket", models.CharField(**_TICKET))
            for model in ("accessrequest", "breakglassgrant", "sodexception")
        ),
        migrations.AddField("webhook", "sealed_credential", models.BinaryField(blank=True, null=True)),
        migrations.AddField(
            "webhook", "options", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
        ),
        migrations.AlterField("webhook", "form", models.CharField(choices=_CHOICES, max_length=16)),
        migrations.RemoveConstraint("webhook", "webhook_form_is_known"),
        migrations.AddConstraint(
            "webhook", models.CheckConstraint(condition=_FORMS, name="webhook_form_is_known_and_fits_its_credential")
        ),
    ]
