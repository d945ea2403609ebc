"""Access that one person gives in an emergency, and its review."""

import datetime as dt
import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

PERSON = {"on_delete": django.db.models.deletion.PROTECT, "related_name": "+", "to": settings.AUTH_USER_MODEL}


class Migration(migrations.Migration):
    """One new table."""

    dependencies: ClassVar = [
        ("entitlements", "0008_backup_owner"),
        ("governance", "0025_adoption"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="EmergencyGrant",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("given_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=500)),
                ("exceeded", models.JSONField(default=list)),
                ("review_by", models.DateTimeField(blank=True, null=True)),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[("justified", "Justified"), ("not_justified", "Not justified")],
                        max_length=16,
                    ),
                ),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                ("finding", models.CharField(blank=True, max_length=500)),
                ("given_by", models.ForeignKey(db_index=False, **PERSON)),
                (
                    "grant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="emergency", to="entitlements.grant"
                    ),
                ),
                ("reviewed_by", models.ForeignKey(blank=True, null=True, **PERSON)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-given_at", "-id"], name="emergency_page"),
                    models.Index(condition=Q(verdict=""), fields=["ends_at"], name="emergency_open"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=~Q(reason=""), name="an_emergency_says_why"),
                    models.CheckConstraint(
                        condition=Q(ends_at__gt=F("given_at"), ends_at__lte=F("given_at") + dt.timedelta(hours=1)),
                        name="an_emergency_lasts_an_hour_at_most",
                    ),
                    models.CheckConstraint(
                        condition=Q(reviewed_by=None) | ~Q(reviewed_by=F("given_by")),
                        name="nobody_reviews_the_emergency_they_declared",
                    ),
                    models.CheckConstraint(
                        condition=Q(verdict="", reviewed_by=None, reviewed_at=None, finding="")
                        | (
                            Q(
                                verdict__in=["justified", "not_justified"],
                                reviewed_by__isnull=False,
                                reviewed_at__isnull=False,
                            )
                            & ~Q(finding="")
                        ),
                        name="a_reviewed_emergency_says_by_whom_when_and_why",
                    ),
                    models.UniqueConstraint(
                        condition=Q(verdict=""),
                        fields=("given_by",),
                        name="one_emergency_at_a_time_that_nobody_reviewed",
                    ),
                ],
            },
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("request_waiting", "A request waits for me"),
                    ("request_decided", "A request of mine was answered or narrowed"),
                    ("grant_ending", "Access is about to end"),
                    ("grant_revoked", "Access was taken back"),
                    ("agent_stopped", "An agent of mine was stopped"),
                    ("tool_quarantined", "A tool changed and was stopped"),
                    ("office_proposed", "I am asked to answer for an agent"),
                    ("delegated", "Somebody answers in another's place"),
                    ("emergency", "Access was given in an emergency"),
                    ("review_waiting", "A review waits for me"),
                    ("setup_lost", "Part of the set-up no longer works"),
                ],
                max_length=32,
            ),
        ),
    ]
