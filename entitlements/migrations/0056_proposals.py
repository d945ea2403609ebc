"""What one person proposes and another confirms."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add a table."""

    dependencies: ClassVar = [
        ('entitlements', '0055_node_messages'),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=32)),
                ('subject', models.CharField(max_length=300)),
                ('terms', models.JSONField()),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('confirmed', 'Confirmed'), ('withdrawn', 'Withdrawn'), ('replaced', 'Replaced')], default='proposed', max_length=16)),
                ('proposed_as', models.CharField(max_length=1100)),
                ('proposed_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=500)),
                ('confirmed_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposed_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['-proposed_at', '-id'], name='change_proposal_page'), models.Index(fields=['kind', 'subject'], name='change_proposal_subject')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'proposed')), fields=('kind', 'subject'), name='one_proposal_of_a_kind_waits_for_a_subject'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('state', 'confirmed'), _negated=True), ('confirmed_by', None)), models.Q(('confirmed_by__isnull', False), ('state', 'confirmed'), models.Q(('proposed_by', None), models.Q(('confirmed_by', models.F('proposed_by')), _negated=True), _connector='OR')), _connector='OR'), name='another_person_confirms_a_proposal'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('state', 'proposed')), models.Q(models.Q(('state', 'proposed'), _negated=True), ('ended_at__isnull', False)), _connector='OR'), name='a_proposal_that_is_over_says_when')],
            },
        ),
    ]
