"""Combinations of tools that no agent may hold together, the exceptions from them, and which agent may call which."""

# ruff: noqa: E501 - the SQL

import datetime
import django.db.models.deletion
import django.db.models.expressions
import uuid
from django.conf import settings
from django.db import migrations, models


DO = """
CREATE FUNCTION governance_exception_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'exceptions are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ended_at IS NOT NULL
        OR (NEW.rule_id, NEW.agent_id, NEW.reason, NEW.control, NEW.given_by_id, NEW.given_at, NEW.expires_at)
           IS DISTINCT FROM (OLD.rule_id, OLD.agent_id, OLD.reason, OLD.control, OLD.given_by_id, OLD.given_at, OLD.expires_at) THEN
            RAISE EXCEPTION 'an exception is given once and ended once' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT 1 FROM entitlements_agent a WHERE a.id = NEW.agent_id AND NEW.given_by_id IN (a.owner_id, a.sponsor_id)) THEN
        RAISE EXCEPTION 'nobody who answers for an agent gives it an exception' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM governance_accessrequest r WHERE r.agent_id = NEW.agent_id AND r.requested_by_id = NEW.given_by_id
               AND (r.state = 'in_approval' OR r.grant_id IN (SELECT id FROM entitlements_grant WHERE ended_at IS NULL))) THEN
        RAISE EXCEPTION 'nobody gives an exception for what they requested' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM entitlements_grantsubject s JOIN entitlements_grant g ON g.id = s.grant_id
               LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
               WHERE g.agent_id = NEW.agent_id AND g.ended_at IS NULL AND NEW.given_by_id IN (s.person_id, m.person_id))
    OR EXISTS (SELECT 1 FROM governance_accessrequest r JOIN governance_accessrequest_people p ON p.accessrequest_id = r.id
               WHERE r.agent_id = NEW.agent_id AND r.state = 'in_approval' AND p.person_id = NEW.given_by_id)
    OR EXISTS (SELECT 1 FROM governance_accessrequest r JOIN governance_accessrequest_groups q ON q.accessrequest_id = r.id
               JOIN entitlements_membership m ON m.group_id = q.group_id
               WHERE r.agent_id = NEW.agent_id AND r.state = 'in_approval' AND m.person_id = NEW.given_by_id) THEN
        RAISE EXCEPTION 'nobody gives an exception they benefit from' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_exception_is_independent_and_stays BEFORE INSERT OR UPDATE OR DELETE ON governance_combinationexception
FOR EACH ROW EXECUTE FUNCTION governance_exception_is_independent();
"""

UNDO = """
DROP TRIGGER an_exception_is_independent_and_stays ON governance_combinationexception;
DROP FUNCTION governance_exception_is_independent();
"""


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('governance', '0007_who_held_office_when_it_was_asked'),
    ]

    operations = [
        migrations.CreateModel(
            name='CombinationRule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(max_length=64)),
                ('number', models.PositiveIntegerField()),
                ('sentence', models.CharField(max_length=300)),
                ('sides', models.JSONField()),
                ('on', models.BooleanField(default=True)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('published', 'In force'), ('replaced', 'Replaced'), ('withdrawn', 'Withdrawn')], default='proposed', max_length=16)),
                ('reason', models.CharField(max_length=500)),
                ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposed_at', models.DateTimeField()),
                ('published_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('published_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['-proposed_at', '-id'], name='combination_rule_page')],
                'constraints': [models.UniqueConstraint(fields=('name', 'number'), name='combination_rule_versions_are_numbered'), models.UniqueConstraint(condition=models.Q(('state', 'published')), fields=('name',), name='one_version_of_a_combination_rule_is_in_force'), models.UniqueConstraint(condition=models.Q(('state', 'proposed')), fields=('name',), name='one_version_of_a_combination_rule_is_proposed'), models.CheckConstraint(condition=models.Q(('published_by', None), models.Q(('published_by', models.F('proposed_by')), _negated=True), _connector='OR'), name='nobody_publishes_the_combination_rule_they_proposed'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['published', 'replaced']), _negated=True), models.Q(('published_at__isnull', False), ('published_by__isnull', False)), _connector='OR'), name='a_published_combination_rule_says_by_whom_and_when')],
            },
        ),
        migrations.CreateModel(
            name='CombinationException',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exceptions', to='governance.combinationrule')),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='combination_exceptions', to='entitlements.agent')),
                ('reason', models.CharField(max_length=500)),
                ('control', models.CharField(max_length=500)),
                ('given_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('given_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'indexes': [models.Index(fields=['-given_at', '-id'], name='combination_exception_page'), models.Index(condition=models.Q(('ended_at', None)), fields=['expires_at'], name='combination_exception_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), models.Q(('control', ''), _negated=True)), name='an_exception_says_why_and_what_makes_up_for_it'), models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('given_at')), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('given_at'), '+', models.Value(datetime.timedelta(days=180))))), name='an_exception_ends_within_180_days'), models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('end_reason', ''), _negated=True), _connector='OR'), name='an_ended_exception_says_why'), models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('rule', 'agent'), name='one_open_exception_per_rule_and_agent')],
            },
        ),
        migrations.CreateModel(
            name='AgentCall',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('caller', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='calls_to', to='entitlements.agent')),
                ('callee', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='calls_from', to='entitlements.agent')),
                ('reason', models.CharField(max_length=500)),
                ('made_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'indexes': [models.Index(fields=['-made_at', '-id'], name='agent_call_page')],
                'constraints': [models.CheckConstraint(condition=models.Q(('caller', models.F('callee')), _negated=True), name='an_agent_does_not_call_itself'), models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('end_reason', ''), _negated=True), _connector='OR'), name='an_ended_call_says_why'), models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('caller', 'callee'), name='one_open_call_per_pair_of_agents')],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
