"""Evidence is sealed by a worker that says how far it is, and its archive is kept in pieces. Only adds."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

STEPS = [
    ("record", "The record is sealed up to the end of the review"),
    ("tables", "Each table is read and written"),
    ("checking", "It is added up, signed and checked"),
    ("keeping", "The pack is kept"),
    ("done", "Done"),
]
DO = """
CREATE FUNCTION governance_piece_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' OR EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = NEW.pack_id) THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_sealed_pack_gets_no_piece BEFORE INSERT OR UPDATE OR DELETE ON governance_evidencepiece
FOR EACH ROW EXECUTE FUNCTION governance_piece_is_allowed();

CREATE FUNCTION governance_pack_has_an_archive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF octet_length(NEW.content) = 0 AND NOT EXISTS
            (SELECT FROM governance_evidencepiece p WHERE p.pack_id = NEW.campaign_id) THEN
        PERFORM governance_review_refuses('evidence is sealed with its archive');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_pack_is_sealed_with_its_archive BEFORE INSERT ON governance_evidencepack
FOR EACH ROW EXECUTE FUNCTION governance_pack_has_an_archive();
"""
UNDO = """
DROP TRIGGER a_pack_is_sealed_with_its_archive ON governance_evidencepack;
DROP FUNCTION governance_pack_has_an_archive();
DROP TRIGGER a_sealed_pack_gets_no_piece ON governance_evidencepiece;
DROP FUNCTION governance_piece_is_allowed();
"""


class Migration(migrations.Migration):
    """Two tables and their triggers."""

    dependencies: ClassVar = [
        ("governance", "0037_campaign_templates"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.AlterField("evidencepack", "content", models.BinaryField(default=b"")),
        migrations.CreateModel(
            name="EvidencePiece",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seq", models.PositiveIntegerField()),
                ("content", models.BinaryField()),
                (
                    "pack",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pieces",
                        to="governance.evidencepack",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["pack", "seq"], name="a_pack_has_each_piece_once"),
                ]
            },
        ),
        migrations.CreateModel(
            name="EvidenceSealing",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="sealing",
                        serialize=False,
                        to="governance.campaign",
                    ),
                ),
                ("step", models.CharField(choices=STEPS, default="tables", max_length=16)),
                ("tables", models.PositiveSmallIntegerField(default=0)),
                ("written", models.PositiveSmallIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("asked_at", models.DateTimeField()),
                ("moved_at", models.DateTimeField()),
                ("statement", models.TextField(max_length=2000)),
                (
                    "amr",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), default=list, size=None
                    ),
                ),
                ("refused", models.CharField(blank=True, max_length=64)),
                ("differences", models.JSONField(default=dict)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=~Q(("statement", "")), name="a_sealing_says_what_is_signed_off"
                    ),
                ]
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
