"""What happened to an agent that somebody should look at, and the small review that asks about it. Only adds."""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


DO = """
CREATE TRIGGER a_review_trigger_is_never_deleted BEFORE DELETE ON governance_reviewtrigger
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_trigger_keeps_what_was_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'waiting' AND (NEW.kind, NEW.agent_id, NEW.subject, NEW.grants, NEW.facts, NEW.state, NEW.campaign_id, NEW.opened_at)
            IS DISTINCT FROM (OLD.kind, OLD.agent_id, OLD.subject, OLD.grants, OLD.facts, OLD.state, OLD.campaign_id, OLD.opened_at)
            OR NEW.postponed < OLD.postponed THEN
        PERFORM governance_review_refuses('what a small review was asked about stays as it is');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_review_trigger_keeps_what_was_asked BEFORE UPDATE ON governance_reviewtrigger
FOR EACH ROW EXECUTE FUNCTION governance_trigger_keeps_what_was_asked();
"""
UNDO = """
DROP TRIGGER a_review_trigger_keeps_what_was_asked ON governance_reviewtrigger;
DROP TRIGGER a_review_trigger_is_never_deleted ON governance_reviewtrigger;
DROP FUNCTION governance_trigger_keeps_what_was_asked();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('entitlements', '0016_business_critical_agents'),
        ('governance', '0032_things_that_are_no_access'),
    ]

    operations = [
        migrations.AlterField(
            model_name='campaign',
            name='kind',
            field=models.CharField(choices=[('agent_owner', 'Agents, by sponsor'), ('resource_owner', 'Systems, by owner'), ('privileged_tools', 'Tools of high risk, by owner of the system'), ('findings', 'Access with open findings, by owner of the system'), ('delegation', 'Whom agents act for, by each person'), ('ownership', 'Agents themselves, by sponsor'), ('credential', 'Secrets, keys and tokens, by owner'), ('entitlement_definition', 'What entitlements contain, by owner of the system'), ('console_access', 'Roles and tokens in Mandate itself, by manager'), ('micro', 'One agent, since something happened')], default='agent_owner', max_length=32),
        ),
        migrations.CreateModel(
            name='ReviewTrigger',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('combination', 'Holds what nobody may hold together'), ('tool_changed', 'A tool it uses changed'), ('irreversible_use', 'First use of a tool that cannot be undone'), ('leaver', 'Who answers for it left'), ('delegate_left', 'Somebody it acts for left'), ('dormant', 'Nobody uses it'), ('by_rule', 'Approved by a rule a week ago'), ('agent_changed', 'The agent itself changed'), ('reach_grew', 'It can do much more than before'), ('denials', 'Many calls were denied'), ('new_office', 'Somebody new answers for it'), ('ends_soon', 'Access ends soon')], max_length=24)),
                ('subject', models.CharField(max_length=128)),
                ('grants', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list)),
                ('facts', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('waiting', 'Waiting to be asked'), ('opened', 'Asked'), ('dropped', 'Nothing left to ask about')], default='waiting', max_length=16)),
                ('happened_at', models.DateTimeField()),
                ('open_from', models.DateTimeField()),
                ('opened_at', models.DateTimeField(blank=True, null=True)),
                ('postponed', models.PositiveSmallIntegerField(default=0)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_triggers', to='entitlements.agent')),
                ('campaign', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='trigger', to='governance.campaign')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['open_from'], name='trigger_to_open'), models.Index(fields=['kind', 'subject', '-happened_at'], name='trigger_of_subject'), models.Index(fields=['-happened_at', '-id'], name='trigger_page')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('kind', 'subject'), name='one_cause_waits_once'), models.CheckConstraint(condition=models.Q(models.Q(('campaign__isnull', False), ('opened_at__isnull', False), ('state', 'opened')), models.Q(models.Q(('state', 'opened'), _negated=True), ('campaign', None), ('opened_at', None)), _connector='OR'), name='a_cause_is_asked_about_in_its_review'), models.CheckConstraint(condition=models.Q(('postponed__lte', 2)), name='a_small_review_is_postponed_twice_at_most'), models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'opened', 'dropped'])), name='a_trigger_state_is_known')],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
