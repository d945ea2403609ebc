"""Receivers of our security events, their streams and what waits in them; streams of others that are polled."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add four tables."""

    dependencies: ClassVar = [("entitlements", "0037_drift")]

    operations: ClassVar = [
        migrations.CreateModel(
            name='EventReceiver',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(max_length=64, unique=True)),
                ('audience', models.CharField(max_length=500)),
                ('push_host', models.CharField(blank=True, max_length=300)),
                ('subject_format', models.CharField(choices=[('iss_sub', 'Our issuer and the login'), ('email', 'The mail address')], max_length=16)),
                ('secret_sha256', models.CharField(blank=True, max_length=64)),
                ('reason', models.CharField(max_length=500)),
                ('registered_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=500)),
                ('registered_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='EventStream',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('method', models.CharField(choices=[('push', 'Push'), ('poll', 'Poll')], max_length=8)),
                ('endpoint_url', models.CharField(blank=True, max_length=1000)),
                ('sealed_authorization', models.BinaryField(blank=True, null=True)),
                ('events_requested', models.JSONField(default=list)),
                ('description', models.CharField(blank=True, max_length=255)),
                ('status', models.CharField(choices=[('enabled', 'Enabled'), ('paused', 'Paused'), ('disabled', 'Disabled')], default='enabled', max_length=8)),
                ('status_reason', models.CharField(blank=True, max_length=255)),
                ('created_at', models.DateTimeField()),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
                ('polled_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('failing_since', models.DateTimeField(blank=True, null=True)),
                ('retry_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=300)),
                ('receiver', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='streams', to='entitlements.eventreceiver')),
            ],
        ),
        migrations.CreateModel(
            name='SignalPoll',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('endpoint_url', models.CharField(max_length=1000)),
                ('token_url', models.CharField(blank=True, max_length=1000)),
                ('client_id', models.CharField(blank=True, max_length=255)),
                ('scope', models.CharField(blank=True, max_length=255)),
                ('sealed_secret', models.BinaryField(blank=True, null=True)),
                ('reason', models.CharField(max_length=500)),
                ('made_at', models.DateTimeField()),
                ('polled_at', models.DateTimeField(blank=True, null=True)),
                ('next_at', models.DateTimeField()),
                ('failures', models.PositiveIntegerField(default=0)),
                ('problem', models.CharField(blank=True, max_length=300)),
                ('to_answer', models.JSONField(blank=True, default=dict)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=500)),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signal_polls', to='entitlements.trustedissuer')),
                ('made_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='StreamEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('jti', models.CharField(max_length=64)),
                ('type', models.CharField(max_length=200)),
                ('claims', models.JSONField()),
                ('goes_at_once', models.BooleanField(default=False)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('taken', 'Taken'), ('refused', 'Refused')], default='waiting', max_length=8)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('answer', models.CharField(blank=True, max_length=300)),
                ('made_at', models.DateTimeField()),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('stream', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='stream_events', to='entitlements.eventstream')),
            ],
        ),
        migrations.AddIndex(
            model_name='eventreceiver',
            index=models.Index(fields=['-registered_at', '-id'], name='event_receiver_page'),
        ),
        migrations.AddConstraint(
            model_name='eventreceiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), models.Q(('secret_sha256', ''), _negated=True)), models.Q(('ended_at__isnull', False), ('secret_sha256', ''), models.Q(('end_reason', ''), _negated=True)), _connector='OR'), name='a_receiver_that_ended_has_no_secret_and_says_why'),
        ),
        migrations.AddIndex(
            model_name='eventstream',
            index=models.Index(fields=['-created_at', '-id'], name='event_stream_page'),
        ),
        migrations.AddConstraint(
            model_name='eventstream',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('method', 'push'), models.Q(('endpoint_url', ''), _negated=True)), models.Q(('endpoint_url', ''), ('method', 'poll'), ('sealed_authorization', None)), _connector='OR'), name='a_stream_that_is_pushed_has_an_address'),
        ),
        migrations.AddConstraint(
            model_name='eventstream',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['enabled', 'paused', 'disabled'])), name='the_status_of_a_stream_is_known'),
        ),
        migrations.AddConstraint(
            model_name='eventstream',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('failing_since', None), ('failures', 0)), models.Q(('failing_since__isnull', False), ('failures__gt', 0)), _connector='OR'), name='a_failing_stream_says_since_when'),
        ),
        migrations.AddIndex(
            model_name='signalpoll',
            index=models.Index(fields=['-made_at', '-id'], name='signal_poll_page'),
        ),
        migrations.AddConstraint(
            model_name='signalpoll',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('issuer',), name='an_issuer_is_polled_at_one_address'),
        ),
        migrations.AddConstraint(
            model_name='signalpoll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('sealed_secret__isnull', False)), models.Q(('ended_at__isnull', False), ('sealed_secret', None), models.Q(('end_reason', ''), _negated=True)), _connector='OR'), name='a_poll_that_ended_has_no_secret_and_says_why'),
        ),
        migrations.AddConstraint(
            model_name='signalpoll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('client_id', ''), ('scope', ''), ('token_url', '')), models.Q(models.Q(('token_url', ''), _negated=True), models.Q(('client_id', ''), _negated=True)), _connector='OR'), name='a_token_endpoint_knows_its_client'),
        ),
        migrations.AddIndex(
            model_name='streamevent',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['stream', 'id'], name='stream_event_waiting'),
        ),
        migrations.AddIndex(
            model_name='streamevent',
            index=models.Index(fields=['stream', '-made_at', '-id'], name='stream_event_page'),
        ),
        migrations.AddIndex(
            model_name='streamevent',
            index=models.Index(fields=['made_at'], name='stream_event_by_age'),
        ),
        migrations.AddConstraint(
            model_name='streamevent',
            constraint=models.UniqueConstraint(fields=('stream', 'jti'), name='a_stream_holds_an_event_once'),
        ),
        migrations.AddConstraint(
            model_name='streamevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('done_at', None), ('state', 'waiting')), models.Q(('done_at__isnull', False), ('state__in', ['taken', 'refused'])), _connector='OR'), name='an_event_says_when_it_was_taken_or_refused'),
        ),
    ]
