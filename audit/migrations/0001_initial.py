"""The record's tables: events partitioned by month from the start, append-only by trigger for every role."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

EVENTS = """
CREATE TABLE events (
    at timestamptz NOT NULL,
    uuid uuid NOT NULL,
    action text NOT NULL,
    links text[] NOT NULL,
    trace text NOT NULL,
    producer uuid NOT NULL,
    sequence bigint NOT NULL,
    body text NOT NULL,
    personal jsonb,
    PRIMARY KEY (at, uuid)
) PARTITION BY RANGE (at);
CREATE INDEX events_by_link ON events USING gin (links);
CREATE INDEX events_by_action ON events (action, at);
CREATE INDEX events_by_trace ON events (trace, at) WHERE NOT trace = '';
CREATE TABLE events_default PARTITION OF events DEFAULT;
"""

# The pending table is a queue: emptied four times a second, it must be vacuumed by count of rows, not by share.
PENDING = """
ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                         autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
"""

# ALWAYS: not even session_replication_role = replica goes round it. A pending row may be deleted (by the sealer's
# role), never changed.
APPEND_ONLY = """
CREATE FUNCTION record_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON leaves FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON nodes FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE ON pending FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE events ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE events_default ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE leaves ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE nodes ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE pending ENABLE ALWAYS TRIGGER append_only;
"""

# A job of the application's role calls this, so it runs with its owner's rights, a fixed search path, and one number
# as its only input. A month whose events already lie in the default partition stays there: moving them would be a
# delete. Attaching, unlike CREATE ... PARTITION OF, does not lock out inserts into other months.
MONTHS = """
CREATE FUNCTION ensure_event_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    begins date;
    name text;
    made integer := 0;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 60 THEN
        RAISE EXCEPTION 'months ahead: 0 to 60, not %', ahead;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_event_months'));
    PERFORM set_config('lock_timeout', '2s', true);
    PERFORM set_config('timezone', 'UTC', true);
    FOR step IN 0..ahead LOOP
        begins := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step))::date;
        name := 'events_' || to_char(begins, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        CONTINUE WHEN EXISTS (SELECT FROM events_default WHERE at >= begins AND at < begins + interval '1 month');
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, begins::timestamptz, (begins + interval '1 month')::timestamptz);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only', name);
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION ensure_event_months SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION ensure_event_months FROM PUBLIC;
SELECT ensure_event_months(12);
"""

BACK = """
DROP FUNCTION ensure_event_months;
DROP TABLE events;
DROP FUNCTION record_is_append_only CASCADE;
"""


class Migration(migrations.Migration):
    """Create everything."""

    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("uuid", models.UUIDField()),
                ("producer", models.UUIDField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={"db_table": "pending"},
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("uuid", models.UUIDField()),
                ("hash", models.BinaryField()),
                ("producer", models.UUIDField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={
                "db_table": "leaves",
                "constraints": [
                    models.UniqueConstraint(name="one_leaf_per_event_of_a_producer", fields=["producer", "sequence"])
                ],
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.SmallIntegerField()),
                ("position", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
            options={"db_table": "nodes"},
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("note", models.TextField()),
                (
                    "frontier",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BinaryField(), size=None),
                ),
                ("signed_at", models.DateTimeField()),
            ],
            options={"db_table": "checkpoints"},
        ),
        migrations.CreateModel(
            name="Cursor",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "cursors"},
        ),
        migrations.CreateModel(
            name="SubjectKey",
            fields=[
                ("subject", models.TextField(primary_key=True, serialize=False)),
                ("key_id", models.UUIDField()),
                ("wrapped", models.BinaryField(null=True)),
                ("erased_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "subject_keys",
                "constraints": [
                    models.CheckConstraint(
                        name="erased_subject_has_no_key",
                        condition=models.Q(("erased_at", None), ("wrapped__isnull", False))
                        | models.Q(("erased_at__isnull", False), ("wrapped", None)),
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StrangerCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute", "kind", "source", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("kind", models.TextField()),
                ("source", models.TextField()),
                ("count", models.BigIntegerField()),
            ],
            options={"db_table": "stranger_counts"},
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "at", "uuid", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        ("uuid", models.UUIDField()),
                        ("action", models.TextField()),
                        ("links", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                        ("trace", models.TextField()),
                        ("producer", models.UUIDField()),
                        ("sequence", models.BigIntegerField()),
                        ("body", models.TextField()),
                        ("personal", models.JSONField(null=True)),
                    ],
                    options={
                        "db_table": "events",
                        "indexes": [
                            django.contrib.postgres.indexes.GinIndex(fields=["links"], name="events_by_link"),
                            models.Index(fields=["action", "at"], name="events_by_action"),
                            models.Index(
                                condition=models.Q(("trace", ""), _negated=True),
                                fields=["trace", "at"],
                                name="events_by_trace",
                            ),
                        ],
                    },
                )
            ],
            database_operations=[migrations.RunSQL([EVENTS, PENDING, APPEND_ONLY, MONTHS], [BACK])],
        ),
    ]
