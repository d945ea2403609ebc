"""The tables of the record: events partitioned by month from the start."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

from audit.database.tables import Tables

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
CREATE INDEX events_by_id ON events (uuid);
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- A second end of one call is refused: the uuid of an end follows from its call (`entitlements/node/records.py`).
-- A partitioned table can only be unique together with its partition key, so each partition has an index of its own
-- (`audit/sql/event_months.sql` makes those of the months); two ends on both sides of midnight between two months are
-- the gateway's alone to prevent.
CREATE UNIQUE INDEX one_end_per_call_events_default ON events_default (uuid)
    WHERE action IN ('call.finished', 'call.withdrawn', 'call.indeterminate');
"""

# The pending table is a queue: emptied four times a second, it must be vacuumed by count of rows, not by share.
PENDING = """
ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                         autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
"""


class Migration(migrations.Migration):

    initial = True
    dependencies = []

    operations = [
        Tables([
            migrations.CreateModel('Pending', [
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('uuid', models.UUIDField()),
                ('producer', models.UUIDField()),
                ('sequence', models.BigIntegerField()),
            ], {
                'db_table': 'pending',
            }),
            migrations.CreateModel('Leaf', [
                ('index', models.BigIntegerField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('uuid', models.UUIDField()),
                ('hash', models.BinaryField()),
                ('producer', models.UUIDField()),
                ('sequence', models.BigIntegerField()),
            ], {
                'constraints': [models.UniqueConstraint(fields=('producer', 'sequence'), name='one_leaf_per_event_of_a_producer')],
                'db_table': 'leaves',
            }),
            migrations.CreateModel('Node', [
                ('pk', models.CompositePrimaryKey('level', 'position', blank=True, editable=False, primary_key=True, serialize=False)),
                ('level', models.SmallIntegerField()),
                ('position', models.BigIntegerField()),
                ('hash', models.BinaryField()),
            ], {
                'db_table': 'nodes',
            }),
            migrations.CreateModel('Checkpoint', [
                ('size', models.BigIntegerField(primary_key=True, serialize=False)),
                ('root', models.BinaryField()),
                ('note', models.TextField()),
                ('frontier', django.contrib.postgres.fields.ArrayField(base_field=models.BinaryField())),
                ('signed_at', models.DateTimeField()),
            ], {
                'db_table': 'checkpoints',
            }),
            migrations.CreateModel('Cursor', [
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('position', models.BigIntegerField(default=0)),
            ], {
                'db_table': 'cursors',
            }),
            migrations.CreateModel('SubjectKey', [
                ('subject', models.TextField(primary_key=True, serialize=False)),
                ('key_id', models.UUIDField()),
                ('wrapped', models.BinaryField(null=True)),
                ('erased_at', models.DateTimeField(null=True)),
            ], {
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('erased_at', None), ('wrapped__isnull', False)), models.Q(('erased_at__isnull', False), ('wrapped', None)), _connector='OR'), name='erased_subject_has_no_key')],
                'db_table': 'subject_keys',
            }),
            migrations.CreateModel('StrangerCount', [
                ('pk', models.CompositePrimaryKey('minute', 'kind', 'source', blank=True, editable=False, primary_key=True, serialize=False)),
                ('minute', models.DateTimeField()),
                ('kind', models.TextField()),
                ('source', models.TextField()),
                ('count', models.BigIntegerField()),
            ], {
                'db_table': 'stranger_counts',
            }),
            migrations.CreateModel('ProducerNumber', [
                ('uuid', models.UUIDField(primary_key=True, serialize=False)),
                ('sequence', models.BigIntegerField()),
            ], {
                'db_table': 'producers',
            }),
            migrations.CreateModel('AnchorState', [
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('note', models.TextField(blank=True)),
                ('problem', models.TextField(blank=True)),
                ('seen_at', models.DateTimeField()),
            ], {
                'db_table': 'anchor_states',
            }),
            migrations.CreateModel('KeptStop', [
                ('index', models.BigIntegerField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(unique=True)),
                ('line', models.TextField()),
                ('at', models.DateTimeField()),
                ('kept_at', models.DateTimeField(null=True)),
            ], {
                'db_table': 'stops',
                'indexes': [models.Index(condition=models.Q(('kept_at', None)), fields=['at'], name='stops_not_kept_outside')],
            }),
        ]),
        migrations.SeparateDatabaseAndState([migrations.RunSQL(EVENTS)], [
                migrations.CreateModel('Event', [
                    ('pk', models.CompositePrimaryKey('at', 'uuid', blank=True, editable=False, primary_key=True, serialize=False)),
                    ('at', models.DateTimeField()),
                    ('uuid', models.UUIDField()),
                    ('action', models.TextField()),
                    ('links', django.contrib.postgres.fields.ArrayField(base_field=models.TextField())),
                    ('trace', models.TextField()),
                    ('producer', models.UUIDField()),
                    ('sequence', models.BigIntegerField()),
                    ('body', models.TextField()),
                    ('personal', models.JSONField(null=True)),
                ], {
                    'db_table': 'events',
                    'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['links'], name='events_by_link'), models.Index(fields=['action', 'at'], name='events_by_action'), models.Index(condition=models.Q(('trace', ''), _negated=True), fields=['trace', 'at'], name='events_by_trace'), models.Index(fields=['uuid'], name='events_by_id')],
                }),
        ]),
        migrations.RunSQL(PENDING),
    ]
