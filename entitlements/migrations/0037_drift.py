"""What drift is measured against, and what a session policy answers it with."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

_ON_DRIFT = [("step_up", "Step-up authentication"), ("suspend", "Suspend")]


def _key(to: str, on_delete: object) -> models.ForeignKey:
    return models.ForeignKey(db_index=False, on_delete=on_delete, related_name="+", to=to)


class Migration(migrations.Migration):
    """Make two tables, which no node reads, and a column that the release before leaves out."""

    dependencies: ClassVar = [("entitlements", "0036_session_policies")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="SessionNetwork",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("network", models.CharField(max_length=64)),
                ("address_class", models.CharField(max_length=16)),
                ("first_at", models.DateTimeField()),
                ("session", _key("entitlements.session", django.db.models.deletion.CASCADE)),
            ],
            options={
                "indexes": [models.Index(fields=["first_at"], name="session_network_by_age")],
                "constraints": [models.UniqueConstraint(fields=("session", "network"), name="a_network_of_a_session_is_noted_once")],
            },
        ),
        migrations.CreateModel(
            name="AgentHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("tool_class", models.CharField(max_length=64)),
                ("calls", models.PositiveIntegerField()),
                ("agent", _key("entitlements.agent", django.db.models.deletion.PROTECT)),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="agent_hour_by_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("agent", "hour", "tool_class"), name="an_hour_of_an_agent_is_counted_once"),
                    models.CheckConstraint(condition=Q(calls__gt=0), name="an_hour_that_is_kept_had_calls"),
                ],
            },
        ),
        migrations.AddField("sessionpolicy", "on_drift", models.CharField(blank=True, choices=_ON_DRIFT, db_default="", default="", max_length=16)),
        migrations.AddConstraint(
            "sessionpolicy",
            models.CheckConstraint(condition=Q(on_drift__in=["", "step_up", "suspend"]), name="a_session_policy_answers_drift_in_a_known_way"),
        ),
    ]
