"""Proposed guardrails with their replay, and the calls that observing ones would have changed."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0012_tickets_exceptions_posture_and_chat"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ObservedCalls",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("day", models.DateField()),
                ("agent", models.CharField(max_length=200)),
                ("tool", models.CharField(max_length=200)),
                ("person", models.CharField(blank=True, max_length=200)),
                ("calls", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("version", "day", "agent", "tool", "person"), name="observed_calls_are_counted_once_a_day")],
            },
        ),
        migrations.CreateModel(
            name="GuardrailProposal",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("key", models.SlugField(max_length=80)),
                ("name", models.CharField(max_length=80)),
                ("effect", models.CharField(choices=[("forbid", "Forbid"), ("hold", "Hold"), ("step_up", "Step-up")], max_length=16)),
                ("mode", models.CharField(choices=[("observe", "Observe"), ("enforce", "Enforce"), ("off", "Off")], max_length=16)),
                ("conditions", models.JSONField()),
                ("max_age", models.PositiveIntegerField(blank=True, null=True)),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn")],
                        default="proposed",
                        max_length=16,
                    ),
                ),
                ("proposed_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "replay_state",
                    models.CharField(
                        choices=[("none", "None"), ("running", "Running"), ("finished", "Finished"), ("failed", "Failed")], default="none", max_length=16
                    ),
                ),
                ("replay_days", models.PositiveSmallIntegerField(default=0)),
                ("replay_asked_at", models.DateTimeField(blank=True, null=True)),
                ("replay", models.JSONField(default=dict)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("proposed_by", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="guardrail_page")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("reason", ""), _negated=True), name="a_proposed_guardrail_says_why"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ["proposed", "withdrawn"]), ("version", None)),
                            models.Q(
                                ("decided_by__isnull", False),
                                ("state__in", ["in_force", "replaced"]),
                                ("version__isnull", False),
                                ("decided_at__isnull", False),
                                models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="a_second_person_confirms_a_guardrail",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["proposed", "in_force"])),
                        fields=("key", "state"),
                        name="a_guardrail_is_proposed_once_and_in_force_once",
                    ),
                ],
            },
        ),
    ]
