"""The credentials that Mandate keeps for systems may be items of a review. What was allowed before still is."""

from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

SUBJECTS = [
    ("access", "An agent's access at a system"),
    ("delegation", "An agent acting for a person"),
    ("agent", "An agent"),
    ("client", "A client and its credential"),
    ("api_token", "A personal token"),
    ("upstream_secret", "A system's credential"),
    ("entitlement", "An entitlement"),
    ("role", "A role in Mandate"),
]


class Migration(migrations.Migration):
    """Two checks that let one more kind through."""

    dependencies: ClassVar = [("governance", "0046_newer_signals")]
    operations: ClassVar = [
        migrations.AlterField(
            "reviewitem",
            "subject_kind",
            models.CharField(choices=SUBJECTS, db_default="access", default="access", max_length=16),
        ),
        migrations.RemoveConstraint("reviewitem", "an_item_says_what_it_is_about"),
        migrations.RemoveConstraint("reviewitem", "who_is_asked_first_about_her_own_holds_it"),
        AddConstraintNotValid(
            "reviewitem",
            models.CheckConstraint(
                name="an_item_says_what_it_is_about",
                condition=Q(subject_kind="access", agent__isnull=False, system__isnull=False, subject_key="", label="")
                | (
                    Q(
                        subject_kind__in=[
                            "delegation",
                            "agent",
                            "client",
                            "api_token",
                            "upstream_secret",
                            "entitlement",
                            "role",
                        ]
                    )
                    & ~Q(subject_key="")
                    & ~Q(label="")
                ),
            ),
        ),
        AddConstraintNotValid(
            "reviewitem",
            models.CheckConstraint(
                name="who_is_asked_first_about_her_own_holds_it",
                condition=Q(holder_first=False)
                | Q(holder__isnull=False, subject_kind__in=["delegation", "client", "api_token", "upstream_secret"]),
            ),
        ),
    ]
