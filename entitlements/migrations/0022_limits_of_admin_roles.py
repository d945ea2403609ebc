"""Admin roles that are limited to systems and departments, and the department of a person, as their source says."""

from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left

_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Migration(migrations.Migration):
    """Add the columns."""

    dependencies: ClassVar = [("entitlements", "0021_credentials_have_an_age")]

    operations: ClassVar = [
        migrations.AddField("roleassignment", "is_limited", models.BooleanField(db_default=False, default=False)),
        migrations.AddField(
            "roleassignment",
            "limit_systems",
            django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.AddField(
            "roleassignment",
            "limit_departments",
            django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=300), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.AddConstraint(
            "roleassignment",
            models.CheckConstraint(condition=Q(is_limited=True) | Q(limit_systems=[], limit_departments=[]), name="a_role_without_a_limit_names_none"),
        ),
        migrations.AddField(
            "sourcedperson",
            "department",
            models.GeneratedField(
                db_persist=True,
                expression=Left(KeyTextTransform("department", KeyTransform(_ENTERPRISE, "said")), 300),
                output_field=models.CharField(max_length=300, null=True),
            ),
        ),
        migrations.AddIndex("sourcedperson", models.Index(fields=["department", "person"], name="sourced_person_of_department")),
    ]
