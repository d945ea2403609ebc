"""Session policies, and what a session says of its sign-in."""

import uuid
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_KINDS = [("personal", "Personal"), ("shared", "Shared"), ("service", "Service"), ("ephemeral", "Ephemeral")]
_RISKS = [("low", "Low"), ("medium", "Medium"), ("high", "High"), ("critical", "Critical")]
_STATES = [("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn"), ("ended", "Ended")]
_TWO = Q(state__in=["proposed", "withdrawn"], confirmed_by=None) | (
    Q(state__in=["in_force", "replaced", "ended"], confirmed_by__isnull=False) & Q(confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))
)
_OVER = Q(state__in=["proposed", "in_force"], ended_at=None) | (
    Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")
)
_SHORTER = Q(idle_seconds__gte=300.0, idle_seconds__lte=3600.0, absolute_seconds__gte=F("idle_seconds"), absolute_seconds__lte=43200.0)


def _key(to: str, related_name: str = "+", **more: bool) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to=to, **more)


def _words(longest: int) -> django.contrib.postgres.fields.ArrayField:
    return django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=longest), blank=True, default=list)


_ALTER = """
ALTER TABLE entitlements_session ADD COLUMN signed_in_at timestamptz NULL,
    ADD COLUMN acr varchar(255) DEFAULT '' NOT NULL, ADD COLUMN amr text DEFAULT '' NOT NULL
"""


class Migration(migrations.Migration):
    """Make one table, which no node of the release before knows, and columns that it leaves out."""

    dependencies: ClassVar = [("entitlements", "0035_risk")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="SessionPolicy",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.SlugField(max_length=64)),
                ("agent_kind", models.CharField(blank=True, choices=_KINDS, max_length=16)),
                ("risk", models.CharField(blank=True, choices=_RISKS, max_length=16)),
                ("idle_seconds", models.PositiveIntegerField()),
                ("absolute_seconds", models.PositiveIntegerField()),
                ("max_age_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("acr", _words(255)),
                ("amr", _words(64)),
                ("renews_without_sign_in", models.BooleanField(default=False)),
                ("reason", models.CharField(max_length=500)),
                ("state", models.CharField(choices=_STATES, default="proposed", max_length=16)),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("confirmed_by", _key(settings.AUTH_USER_MODEL, blank=True, null=True, db_index=False)),
                ("proposed_by", _key(settings.AUTH_USER_MODEL, db_index=False)),
                ("system", _key("entitlements.system", "session_policies", blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "session policies",
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="session_policy_page")],
                "constraints": [
                    models.CheckConstraint(condition=~Q(reason=""), name="a_session_policy_says_why"),
                    models.UniqueConstraint(
                        condition=Q(state__in=["proposed", "in_force"]), fields=("name", "state"), name="a_session_policy_is_proposed_once_and_in_force_once"
                    ),
                    models.CheckConstraint(condition=_TWO, name="a_second_person_confirms_a_session_policy"),
                    models.CheckConstraint(condition=_OVER, name="a_session_policy_that_is_over_says_when_and_why"),
                    models.CheckConstraint(condition=_SHORTER, name="a_session_policy_only_shortens_sessions"),
                ],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ALTER)],
            state_operations=[
                migrations.AddField("session", "signed_in_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddField("session", "acr", models.CharField(blank=True, db_default="", default="", max_length=255)),
                migrations.AddField("session", "amr", models.TextField(blank=True, db_default="", default="")),
            ],
        ),
    ]
