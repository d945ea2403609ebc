"""How many items of a review have which outcome, and how many each reviewer answers, is kept as it changes. Only adds.

Triggers write it, so that what the release before changes is counted too. What a statement changed becomes rows of its
own: whoever submits waits for nobody else's row. While a campaign is staged its items come by the million and may be
put away again: then nothing is kept, and what is staged is counted once.
"""

from typing import ClassVar

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from audit import roles

COUNT = """
CREATE FUNCTION governance_count_campaign(campaign uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM governance_itemtally t WHERE t.campaign_id = campaign;
    DELETE FROM governance_assignmenttally t WHERE t.campaign_id = campaign;
    INSERT INTO governance_itemtally (campaign_id, outcome, day, count)
    SELECT i.campaign_id, coalesce(d.verb, i.state), (d.decided_at AT TIME ZONE 'UTC')::date, count(*)
    FROM governance_reviewitem i LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
    WHERE i.campaign_id = campaign GROUP BY 1, 2, 3;
    INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
    SELECT i.campaign_id, a.reviewer_id, a.state, count(*)
    FROM governance_assignment a JOIN governance_reviewitem i ON i.id = a.item_id
    WHERE i.campaign_id = campaign AND a.replaced_by_id IS NULL GROUP BY 1, 2, 3;
$$;

CREATE FUNCTION governance_items_are_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO governance_itemtally (campaign_id, outcome, day, count)
    SELECT x.campaign_id, coalesce(d.verb, x.state), (d.decided_at AT TIME ZONE 'UTC')::date, sum(x.many)
    FROM (SELECT campaign_id, state, current_decision_id, 1 AS many FROM added
          UNION ALL SELECT campaign_id, state, current_decision_id, -1 FROM gone) x
    JOIN governance_campaign c ON c.id = x.campaign_id AND c.state NOT IN ('draft', 'staging')
    LEFT JOIN governance_reviewdecision d ON d.id = x.current_decision_id
    GROUP BY 1, 2, 3 HAVING sum(x.many) <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER what_becomes_of_items_is_counted AFTER UPDATE ON governance_reviewitem
REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_items_are_counted();

CREATE FUNCTION governance_assigned_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
        SELECT i.campaign_id, x.reviewer_id, x.state, count(*)
        FROM added x JOIN governance_reviewitem i ON i.id = x.item_id
        JOIN governance_campaign c ON c.id = i.campaign_id AND c.state NOT IN ('draft', 'staging')
        WHERE x.replaced_by_id IS NULL GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
        SELECT i.campaign_id, x.reviewer_id, x.state, sum(x.many)
        FROM (SELECT item_id, reviewer_id, state, 1 AS many FROM added WHERE replaced_by_id IS NULL
              UNION ALL SELECT item_id, reviewer_id, state, -1 FROM gone WHERE replaced_by_id IS NULL) x
        JOIN governance_reviewitem i ON i.id = x.item_id
        JOIN governance_campaign c ON c.id = i.campaign_id AND c.state NOT IN ('draft', 'staging')
        GROUP BY 1, 2, 3 HAVING sum(x.many) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER who_is_asked_is_counted AFTER INSERT ON governance_assignment
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_assigned_is_counted();
CREATE TRIGGER what_was_asked_is_counted AFTER UPDATE ON governance_assignment
REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_assigned_is_counted();

-- What is staged, or was cancelled meanwhile, is counted once; what is staged anew begins without counts.
CREATE FUNCTION governance_staged_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_count_campaign(NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER what_is_staged_is_counted AFTER UPDATE OF state ON governance_campaign
FOR EACH ROW WHEN (OLD.state = 'staging' AND NEW.state IN ('staged', 'cancelled'))
EXECUTE FUNCTION governance_staged_is_counted();

SELECT governance_count_campaign(c.id) FROM governance_campaign c WHERE c.state NOT IN ('draft', 'staging');
"""
UNDO = """
DROP TRIGGER what_is_staged_is_counted ON governance_campaign;
DROP TRIGGER what_was_asked_is_counted ON governance_assignment;
DROP TRIGGER who_is_asked_is_counted ON governance_assignment;
DROP TRIGGER what_becomes_of_items_is_counted ON governance_reviewitem;
DROP FUNCTION governance_staged_is_counted(), governance_assigned_is_counted(), governance_items_are_counted(),
    governance_count_campaign(uuid);
"""


def let_the_application_count(_: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Grant the new tables with the triggers that write them: what serves meanwhile must not meet one without the other."""
    roles.apply(editor.connection)


class Migration(migrations.Migration):
    """Two tables of counts, the triggers that write them, and what is there counted once."""

    dependencies: ClassVar = [
        ("governance", "0043_passed_on"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ItemTally",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("outcome", models.CharField(max_length=16)),
                ("day", models.DateField(blank=True, null=True)),
                ("count", models.IntegerField()),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="item_tallies",
                        to="governance.campaign",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(("count", 0)), name="a_tally_of_items_counts_something"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="AssignmentTally",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("state", models.CharField(max_length=16)),
                ("count", models.IntegerField()),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="assignment_tallies",
                        to="governance.campaign",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(("count", 0)), name="a_tally_of_assignments_counts_something"
                    )
                ]
            },
        ),
        migrations.RunPython(let_the_application_count, migrations.RunPython.noop),
        migrations.RunSQL(COUNT, UNDO),
    ]
