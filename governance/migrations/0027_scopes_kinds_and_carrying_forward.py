"""What a campaign looks at and how: more kinds, answers carried forward, and items that are left out with a reason.

Only adds. The new checks hold for whatever is written from now on; no row could break them before.
"""

from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

STATES = [
    ("in_review", "Open"),
    ("decided", "Decided"),
    ("no_response", "Not answered"),
    ("superseded", "Ended meanwhile"),
    ("excluded", "Left out"),
    ("carried_forward", "Unchanged since it was kept"),
]
KINDS = [
    ("agent_owner", "Agents, by sponsor"),
    ("resource_owner", "Systems, by owner"),
    ("privileged_tools", "Tools of high risk, by owner of the system"),
]
MODES = [("full", "Everything"), ("delta", "What changed, is new, risky or remarkable")]
FRAMEWORKS = [("none", "None"), ("sox", "SOX"), ("pci", "PCI DSS")]


class Migration(migrations.Migration):
    """New columns with defaults of the database, and checks."""

    dependencies: ClassVar = [("governance", "0028_sealed_evidence")]

    operations: ClassVar = [
        migrations.AlterField(
            "campaign", "kind", models.CharField(choices=KINDS, default="agent_owner", max_length=32)
        ),
        migrations.AddField(
            "campaign",
            "mode",
            models.CharField(choices=MODES, db_default="full", default="full", max_length=8),
        ),
        migrations.AddField(
            "campaign",
            "framework",
            models.CharField(choices=FRAMEWORKS, db_default="none", default="none", max_length=8),
        ),
        migrations.AddField("campaign", "carry_days", models.PositiveSmallIntegerField(db_default=0, default=0)),
        migrations.AlterField(
            "reviewitem", "state", models.CharField(choices=STATES, default="in_review", max_length=16)
        ),
        migrations.AddField(
            "reviewitem",
            "carried_from",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.reviewdecision",
            ),
        ),
        AddConstraintNotValid(
            "campaign",
            models.CheckConstraint(
                condition=Q(("carry_days", 0), ("mode", "full"))
                | Q(("carry_days__gt", 0), ("carry_days__lte", 366), ("framework", "none"), ("mode", "delta"))
                | Q(("carry_days__gt", 0), ("carry_days__lte", 183), ("framework", "pci"), ("mode", "delta")),
                name="answers_are_carried_only_where_the_framework_lets_them",
            ),
        ),
        AddConstraintNotValid(
            "reviewitem",
            models.CheckConstraint(
                condition=(Q(("state", "excluded")) & ~Q(("exclusion_reason", "")) & Q(("carried_from", None)))
                | Q(("carried_from__isnull", False), ("exclusion_reason", ""), ("state", "carried_forward"))
                | (
                    ~Q(("state__in", ["excluded", "carried_forward"]))
                    & Q(("carried_from", None), ("exclusion_reason", ""))
                ),
                name="what_is_left_out_says_why_and_what_is_carried_from_where",
            ),
        ),
    ]
