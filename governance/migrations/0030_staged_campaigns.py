"""Campaigns are staged before they begin, can be paused and cancelled, and say how far their staging has come.

Only adds, but for this: a campaign begins once it is staged, so the release before begins none until it is replaced.
What it began goes on. What is staged and has not begun may be put away and taken anew; nothing else is deleted.
"""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

WAY = """
CREATE OR REPLACE FUNCTION governance_campaign_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            PERFORM governance_review_refuses('a campaign begins as a draft');
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('closed', 'cancelled') THEN
        PERFORM governance_review_refuses('a ' || OLD.state || ' campaign stays as it is');
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN
            (('draft', 'staging'), ('staging', 'staged'), ('staging', 'draft'), ('staged', 'staging'), ('staged', 'active'),
             ('active', 'paused'), ('paused', 'active'), ('active', 'closing'), ('closing', 'closed'),
             ('draft', 'cancelled'), ('staging', 'cancelled'), ('staged', 'cancelled'), ('active', 'cancelled'),
             ('paused', 'cancelled')) THEN
        PERFORM governance_review_refuses(
            'a campaign goes from draft to staging, staged, under way, closing and closed, not from '
            || OLD.state || ' to ' || NEW.state);
    END IF;
    IF OLD.state <> 'draft' AND (NEW.kind, NEW.scope, NEW.scope_sha256) IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.scope_sha256)
       OR OLD.state NOT IN ('draft', 'staging') AND (OLD.state, NEW.state) <> ('staged', 'staging')
          AND (NEW.snapshot_at, NEW.population_rows, NEW.population_sha256)
              IS DISTINCT FROM (OLD.snapshot_at, OLD.population_rows, OLD.population_sha256)
       OR OLD.state NOT IN ('draft', 'staging', 'staged') AND NEW.is_rehearsal <> OLD.is_rehearsal THEN
        PERFORM governance_review_refuses('what a campaign looks at is fixed when it begins');
    END IF;
    IF OLD.state = 'staging' AND NEW.state = 'staged' AND (
        (SELECT count(*) FROM governance_populationrow p WHERE p.campaign_id = NEW.id) IS DISTINCT FROM NEW.population_rows
        OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review' AND NOT EXISTS
                   (SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.state = 'assigned'))) THEN
        PERFORM governance_review_refuses('a campaign is staged with all of its population, each item assigned');
    END IF;
    IF OLD.state = 'active' AND NEW.state = 'closing' AND EXISTS
            (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review') THEN
        PERFORM governance_review_refuses('a campaign closes when every item has an outcome');
    END IF;
    IF NEW.state = 'closed' AND EXISTS
            (SELECT FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
             JOIN governance_reviewitem i ON i.id = d.item_id WHERE i.campaign_id = NEW.id
             AND (r.state NOT IN ('verified', 'excepted', 'withdrawn')
                  OR r.state = 'verified' AND r.final_at IS NOT NULL AND r.finished_at IS NULL)) THEN
        PERFORM governance_review_refuses('a campaign is closed when every removal is proven');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION governance_population_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT campaign_id FROM added) a JOIN governance_campaign c ON c.id = a.campaign_id
               WHERE c.state NOT IN ('draft', 'staging')) THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION governance_lines_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT i.campaign_id FROM added JOIN governance_reviewitem i ON i.id = added.item_id) a
               JOIN governance_campaign c ON c.id = a.campaign_id WHERE c.state NOT IN ('draft', 'staging')) THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;

-- What is being staged may be put away, to be taken anew; of what is staged or began nothing is.
CREATE FUNCTION governance_snapshot_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held text;
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('governance_reviewitem', 'governance_populationrow') THEN
        SELECT c.state INTO held FROM governance_campaign c WHERE c.id = OLD.campaign_id;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT c.state INTO held FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
        WHERE i.id = OLD.item_id;
    END IF;
    IF held IS DISTINCT FROM 'staging' THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    RETURN OLD;
END $$;
"""
TRIGGERS = {
    "a_population_is_never_changed": ("UPDATE OR DELETE", "governance_populationrow"),
    "a_line_is_never_changed": ("UPDATE OR DELETE", "governance_reviewline"),
    "a_suggestion_is_never_changed": ("UPDATE OR DELETE", "governance_suggestion"),
    "an_item_is_never_deleted": ("DELETE", "governance_reviewitem"),
    "an_assignment_is_never_deleted": ("DELETE", "governance_assignment"),
}
REPLACED = "".join(
    f"CREATE OR REPLACE TRIGGER {name} BEFORE {when} ON {table}\n"
    "FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();\n"
    for name, (when, table) in TRIGGERS.items()
)
STATES = [
    ("draft", "Draft"),
    ("staging", "Being staged"),
    ("staged", "Ready to launch"),
    ("active", "Under way"),
    ("paused", "Paused"),
    ("closing", "Removals being proven"),
    ("closed", "Closed"),
    ("cancelled", "Cancelled"),
]
STEPS = [
    ("clearing", "What was staged before is put away"),
    ("population", "The access in force is taken and hashed"),
    ("suggestions", "What is known of each item is frozen"),
    ("carrying", "Answers are carried forward"),
    ("reviewers", "Each item goes to its reviewer"),
    ("done", "Done"),
]
UNHASHED = Q(("population_rows", None), ("population_sha256", ""), ("snapshot_at", None))
HASHED = Q(("population_rows__gt", 0), ("snapshot_at__isnull", False)) & Q(
    ("population_sha256__regex", "^[0-9a-f]{64}$")
)


class Migration(migrations.Migration):
    """States, columns with defaults of the database, checks and triggers, and a table."""

    dependencies: ClassVar = [
        ("governance", "0029_accepted_plan"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.AlterField("campaign", "state", models.CharField(choices=STATES, default="draft", max_length=16)),
        migrations.AddField(
            "campaign",
            "state_reason",
            models.CharField(blank=True, db_default="", default="", max_length=500),
        ),
        migrations.AddField("campaign", "paused_at", models.DateTimeField(blank=True, null=True)),
        migrations.RemoveConstraint("campaign", "a_campaign_state_is_known"),
        migrations.RemoveConstraint("campaign", "a_campaign_that_began_has_a_hashed_population"),
        AddConstraintNotValid(
            "campaign",
            models.CheckConstraint(
                condition=Q(("state__in", [name for name, _ in STATES])), name="the_state_of_a_campaign_is_known"
            ),
        ),
        AddConstraintNotValid(
            "campaign",
            models.CheckConstraint(
                condition=(Q(("state__in", ["draft", "staging", "cancelled"])) & UNHASHED)
                | (Q(("state__in", ["staged", "active", "paused", "closing", "closed", "cancelled"])) & HASHED),
                name="what_is_staged_has_a_hashed_population",
            ),
        ),
        AddConstraintNotValid(
            "campaign",
            models.CheckConstraint(
                condition=~Q(("state__in", ["cancelled", "paused"])) | ~Q(("state_reason", "")),
                name="what_is_cancelled_or_paused_says_why",
            ),
        ),
        AddConstraintNotValid(
            "campaign",
            models.CheckConstraint(
                condition=Q(("paused_at__isnull", False), ("state", "paused"))
                | (~Q(("state", "paused")) & Q(("paused_at", None))),
                name="a_paused_campaign_says_since_when",
            ),
        ),
        migrations.CreateModel(
            name="CampaignStaging",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="staging",
                        serialize=False,
                        to="governance.campaign",
                    ),
                ),
                ("step", models.CharField(choices=STEPS, default="population", max_length=16)),
                ("upto", models.PositiveIntegerField(default=0)),
                ("items", models.PositiveIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("carried", models.PositiveIntegerField(default=0)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("moved_at", models.DateTimeField()),
                ("refused", models.CharField(blank=True, max_length=64)),
                ("summary", models.JSONField(default=dict)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=~Q(("step", "done")) | Q(("rows__gt", 0), ("taken_at__isnull", False)),
                        name="a_staging_is_through_when_everything_is_taken",
                    )
                ]
            },
        ),
        migrations.RunSQL(WAY + REPLACED, migrations.RunSQL.noop),
    ]
