"""What would be suggested about an open item today, beside what was frozen. Only adds."""

import django.contrib.postgres.fields
import django.db.models.deletion
from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE FUNCTION governance_newer_signal_is_of_an_open_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
                   WHERE i.id = NEW.item_id AND i.state = 'in_review' AND c.state = 'active') THEN
        PERFORM governance_review_refuses('only what waits for an answer is weighed again');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_what_is_open_is_weighed_again BEFORE INSERT OR UPDATE ON governance_newersignal
FOR EACH ROW EXECUTE FUNCTION governance_newer_signal_is_of_an_open_item();
CREATE TRIGGER a_newer_signal_is_never_deleted BEFORE DELETE ON governance_newersignal
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_signal_run_is_never_deleted BEFORE DELETE ON governance_signalrun
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
"""
UNDO = """
DROP TRIGGER a_signal_run_is_never_deleted ON governance_signalrun;
DROP TRIGGER a_newer_signal_is_never_deleted ON governance_newersignal;
DROP TRIGGER only_what_is_open_is_weighed_again ON governance_newersignal;
DROP FUNCTION governance_newer_signal_is_of_an_open_item();
"""
VERDICTS = [
    ("revoke", "Remove"),
    ("reduce", "Keep some"),
    ("look", "Look closer"),
    ("keep", "Keep"),
    ("unknown", "Not enough data"),
]


class Migration(migrations.Migration):
    """Two tables and their triggers."""

    dependencies: ClassVar = [("governance", "0045_critical_is_kept_in_writing")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="NewerSignal",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="newer_signal",
                        serialize=False,
                        to="governance.reviewitem",
                    ),
                ),
                ("verdict", models.CharField(choices=VERDICTS, max_length=16)),
                ("score", models.SmallIntegerField()),
                (
                    "kept",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list),
                ),
                ("reasons", models.JSONField(default=list)),
                ("version", models.CharField(max_length=32)),
                ("seen_at", models.DateTimeField()),
                ("stands", models.BooleanField(default=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="a_newer_reduction_says_what_it_keeps",
                        condition=(Q(verdict="reduce") & ~Q(kept=[])) | (~Q(verdict="reduce") & Q(kept=[])),
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="SignalRun",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="signal_run",
                        serialize=False,
                        to="governance.campaign",
                    ),
                ),
                ("begun_at", models.DateTimeField()),
                ("upto", models.PositiveIntegerField(default=0)),
                ("looked", models.PositiveIntegerField(default=0)),
                ("newer", models.PositiveIntegerField(default=0)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="weighing_again_is_done_after_it_began",
                        condition=Q(done_at=None) | Q(done_at__gte=F("begun_at")),
                    )
                ]
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
