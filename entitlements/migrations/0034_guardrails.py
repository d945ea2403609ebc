"""The versions of guardrails that two people agreed on."""

import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0032_stdio_places")]

    operations = [
        migrations.CreateModel(
            name="GuardrailVersion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField(unique=True)),
                ("key", models.SlugField(max_length=80)),
                ("name", models.CharField(max_length=80)),
                ("effect", models.CharField(choices=[("forbid", "Forbid"), ("hold", "Hold"), ("step_up", "Step-up")], max_length=16)),
                ("mode", models.CharField(choices=[("observe", "Observe"), ("enforce", "Enforce"), ("off", "Off")], max_length=16)),
                ("conditions", models.JSONField()),
                ("max_age", models.PositiveIntegerField(blank=True, null=True)),
                ("proposed_by", models.CharField(max_length=200)),
                ("confirmed_by", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("conditions", {}), _negated=True), name="a_guardrail_says_which_calls"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("proposed_by", ""), _negated=True),
                            models.Q(("confirmed_by", ""), _negated=True),
                            models.Q(("confirmed_by", models.F("proposed_by")), _negated=True),
                        ),
                        name="two_people_stand_behind_a_guardrail",
                    ),
                ],
            },
        ),
    ]
