"""How long an answer took is forgotten after thirteen months, and put together before that. Only adds.

A decision is still never changed, with one exception, which the function of its trigger names: its time goes, alone,
once it is thirteen months old and the times of its campaign are put together. Where evidence is sealed, an assignment
may lose as much.
"""

import django.db.models.deletion
from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE FUNCTION governance_thirteen_months_before(moment timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT (moment AT TIME ZONE 'UTC' - interval '13 months') AT TIME ZONE 'UTC'
$$;

CREATE FUNCTION governance_decision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    forgotten governance_reviewdecision := OLD;
BEGIN
    forgotten.dwell_ms := NULL;
    -- The one exception: how long it took, and not a byte else, once thirteen months are over.
    IF TG_OP = 'UPDATE' AND OLD.dwell_ms IS NOT NULL AND NEW *= forgotten
       AND OLD.decided_at < governance_thirteen_months_before(now())
       AND EXISTS (SELECT FROM governance_timingrun t JOIN governance_reviewitem i ON i.campaign_id = t.campaign_id
                   WHERE i.id = OLD.item_id AND t.put_together_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER a_decision_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_decision_stays();

CREATE FUNCTION governance_sealed_assignment_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    forgotten governance_assignment := OLD;
BEGIN
    IF NOT EXISTS (SELECT FROM governance_reviewitem i JOIN governance_evidencepack p ON p.campaign_id = i.campaign_id
                   WHERE i.id = OLD.item_id) THEN
        RETURN NEW;
    END IF;
    forgotten.dwell_ms := 0;
    forgotten.opened_at := date_trunc('day', OLD.opened_at, 'UTC');
    forgotten.evidence_opened_at := date_trunc('day', OLD.evidence_opened_at, 'UTC');
    -- The one exception: how long she looked goes, and of when she looked the day stays, once thirteen months are over.
    IF NEW *= forgotten AND OLD.assigned_at < governance_thirteen_months_before(now())
       AND NOT EXISTS (SELECT FROM governance_reviewdecision d WHERE d.assignment_id = OLD.id
                       AND d.decided_at >= governance_thirteen_months_before(now())) THEN
        RETURN NEW;
    END IF;
    PERFORM governance_review_refuses('what is sealed stays as it is');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER a_sealed_assignment_stays BEFORE UPDATE ON governance_assignment
FOR EACH ROW EXECUTE FUNCTION governance_sealed_assignment_stays();

CREATE FUNCTION governance_timing_is_put_together_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM governance_timingrun t
               WHERE t.campaign_id = NEW.campaign_id AND t.put_together_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('times are put together before the first is forgotten');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER times_are_put_together_first BEFORE INSERT ON governance_timing
FOR EACH ROW EXECUTE FUNCTION governance_timing_is_put_together_first();
CREATE TRIGGER what_was_put_together_stays BEFORE UPDATE OR DELETE ON governance_timing
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER that_it_was_put_together_stays BEFORE UPDATE ON governance_timingrun
FOR EACH ROW WHEN (OLD.put_together_at IS DISTINCT FROM NEW.put_together_at AND OLD.put_together_at IS NOT NULL
                   OR OLD.campaign_id <> NEW.campaign_id) EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_timing_run_is_never_deleted BEFORE DELETE ON governance_timingrun
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
"""
UNDO = """
DROP TRIGGER a_timing_run_is_never_deleted ON governance_timingrun;
DROP TRIGGER that_it_was_put_together_stays ON governance_timingrun;
DROP TRIGGER what_was_put_together_stays ON governance_timing;
DROP TRIGGER times_are_put_together_first ON governance_timing;
CREATE OR REPLACE TRIGGER a_sealed_assignment_stays BEFORE UPDATE ON governance_assignment
FOR EACH ROW EXECUTE FUNCTION governance_sealed_stays();
CREATE OR REPLACE TRIGGER a_decision_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
DROP FUNCTION governance_timing_is_put_together_first(), governance_sealed_assignment_stays(),
    governance_decision_stays(), governance_thirteen_months_before(timestamptz);
"""


class Migration(migrations.Migration):
    """Two tables, and the functions of triggers."""

    dependencies: ClassVar = [("governance", "0050_ranges_of_arguments")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Timing",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("risk", models.CharField(blank=True, max_length=16)),
                ("people", models.PositiveIntegerField()),
                ("timed", models.PositiveIntegerField()),
                ("fast", models.PositiveIntegerField()),
                ("median_ms", models.FloatField()),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="timings",
                        to="governance.campaign",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "risk"), name="times_are_put_together_once"),
                    models.CheckConstraint(
                        condition=Q(("people__gte", 5), ("timed__gte", F("people"))),
                        name="times_are_put_together_of_several_people",
                    ),
                    models.CheckConstraint(condition=Q(("fast__lte", F("timed"))), name="no_more_are_fast_than_timed"),
                ]
            },
        ),
        migrations.CreateModel(
            name="TimingRun",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="timing_run",
                        serialize=False,
                        to="governance.campaign",
                    ),
                ),
                ("put_together_at", models.DateTimeField(blank=True, null=True)),
                ("begun_at", models.DateTimeField()),
                ("upto", models.PositiveIntegerField(default=0)),
                ("forgotten", models.PositiveIntegerField(default=0)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("is_over", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("done_at", None)) | Q(("done_at__gte", F("begun_at"))),
                        name="forgetting_is_done_after_it_began",
                    ),
                    models.CheckConstraint(
                        condition=Q(("is_over", False)) | Q(("done_at__isnull", False)), name="what_is_over_is_done"
                    ),
                ]
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
