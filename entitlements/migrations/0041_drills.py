"""The effect before a revocation, drills, and proofs of revocations."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

_ID = ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False))
_RESULTS = [("proven", "Proven"), ("incomplete", "Incomplete"), ("failed", "Failed")]


def _object() -> models.JSONField:
    return models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)


class Migration(migrations.Migration):
    """Add two tables, and a column with a default."""

    dependencies: ClassVar = [("entitlements", "0040_held_by_risk")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Drill",
            fields=[
                _ID,
                ("target_type", models.CharField(max_length=16)),
                ("target_id", models.CharField(max_length=1200)),
                ("reason", models.CharField(max_length=500)),
                ("ticket", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("by", models.CharField(max_length=120)),
                ("change_id", models.BigIntegerField(null=True)),
                ("position", models.BigIntegerField(null=True)),
                ("committed_at", models.DateTimeField()),
                *((name, models.JSONField(default=list)) for name in ("acknowledged", "missing")),
                *((name, _object()) for name in ("covered", "effect")),
                ("residual", models.JSONField(default=list)),
                ("receipt", models.TextField(blank=True)),
            ],
            options={"abstract": False, "ordering": ["-committed_at"]},
        ),
        migrations.CreateModel(
            name="RevocationProof",
            fields=[
                _ID,
                ("by", models.CharField(max_length=120)),
                ("began_at", models.DateTimeField()),
                ("result", models.CharField(choices=_RESULTS, max_length=16)),
                *((name, models.JSONField(default=list)) for name in ("answers", "unproven")),
                ("record", models.TextField(blank=True)),
                (
                    "revocation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="proofs",
                        to="entitlements.revocation",
                    ),
                ),
            ],
            options={"ordering": ["-began_at"]},
        ),
        migrations.AddField("revocation", "effect", _object()),
    ]
