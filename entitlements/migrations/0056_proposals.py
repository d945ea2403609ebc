"""What one person proposes and another confirms."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_PERSON = {"blank": True, "db_index": False, "null": True, "on_delete": models.PROTECT, "related_name": "+"}
_STATES = ["proposed", "confirmed", "withdrawn", "replaced"]
_OTHER = Q(proposed_by=None) | ~Q(confirmed_by=F("proposed_by"))
_CONFIRMED = Q(state="confirmed", confirmed_by__isnull=False)
_OPEN = Q(state="proposed")


class Migration(migrations.Migration):
    """Add a table."""

    dependencies: ClassVar = [("entitlements", "0055_node_messages")]
    operations: ClassVar = [
        migrations.CreateModel("Proposal", [
            ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
            ("kind", models.CharField(max_length=32)),
            ("subject", models.CharField(max_length=300)),
            ("terms", models.JSONField()),
            ("reason", models.CharField(blank=True, max_length=500)),
            ("state", models.CharField(choices=[(state, state.title()) for state in _STATES], default="proposed", max_length=16)),
            ("proposed_as", models.CharField(max_length=1100)),
            ("proposed_at", models.DateTimeField()),
            ("ended_at", models.DateTimeField(blank=True, null=True)),
            ("end_reason", models.CharField(blank=True, max_length=500)),
            ("confirmed_by", models.ForeignKey(to=settings.AUTH_USER_MODEL, **_PERSON)),
            ("proposed_by", models.ForeignKey(to=settings.AUTH_USER_MODEL, **_PERSON)),
        ], {"indexes": [
            models.Index(fields=["-proposed_at", "-id"], name="change_proposal_page"),
            models.Index(fields=["kind", "subject"], name="change_proposal_subject"),
        ], "constraints": [
            models.UniqueConstraint(condition=_OPEN, fields=["kind", "subject"], name="one_proposal_of_a_kind_waits_for_a_subject"),
            models.CheckConstraint(condition=(~Q(state="confirmed") & Q(confirmed_by=None)) | (_CONFIRMED & _OTHER), name="another_person_confirms_a_proposal"),
            models.CheckConstraint(condition=Q(state="proposed", ended_at=None) | (~_OPEN & Q(ended_at__isnull=False)), name="a_proposal_that_is_over_says_when"),
        ]}),
    ]
