"""Reviews of other things than access: agents, credentials, entitlements, delegations and roles in Mandate itself.

Only adds: the release before goes on writing items that are access, and refuses to read no others.
"""

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


DO = """
-- Two where the first is asked about her own: her keeping it is never enough.
CREATE FUNCTION governance_item_stages(holder_first boolean, risk text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN holder_first THEN 2 ELSE governance_review_stages(risk) END
$$;

CREATE OR REPLACE FUNCTION governance_review_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    own record;
BEGIN
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = who AND p.is_active) THEN
        RETURN 'only an active person decides';
    END IF;
    SELECT i.holder_first INTO own FROM governance_reviewitem i WHERE i.id = asked AND i.holder_id = who;
    IF FOUND AND own.holder_first AND EXISTS (SELECT FROM governance_assignment a
            WHERE a.item_id = asked AND a.stage = 1 AND a.state = 'assigned') THEN
        RETURN NULL; -- she is asked first; her keeping it only asks the next
    END IF;
    IF FOUND THEN
        RETURN 'nobody certifies what is their own';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN entitlements_agent a ON a.id = i.agent_id
               WHERE i.id = asked AND a.owner_id = who) THEN
        RETURN 'the technical owner never certifies for that agent';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id
               WHERE p.item_id = asked AND r.requested_by_id = who) THEN
        RETURN 'nobody certifies what they requested';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_populationrow p ON p.item_id = i.id
               JOIN entitlements_grant g ON g.id = p.grant_id JOIN governance_approval v ON v.request_id = g.request_id
               WHERE i.id = asked AND i.risk IN ('high', 'critical') AND v.answer = 'approved'
                 AND who IN (v.by_id, v.in_place_of_id) AND v.answered_at > now() - interval '90 days') THEN
        RETURN 'nobody certifies what they approved lately';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grantsubject s ON s.grant_id = p.grant_id
               LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
               WHERE p.item_id = asked AND who IN (s.person_id, m.person_id)) THEN
        RETURN 'nobody certifies what they benefit from';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION governance_decision_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    item record;
    asked bigint;
    before uuid;
    lines_left bigint[];
    said text;
BEGIN
    SELECT i.*, c.state AS campaign_state INTO item
    FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id WHERE i.id = NEW.item_id FOR SHARE OF c;
    IF item.campaign_state <> 'active' THEN
        PERFORM governance_review_refuses('a decision is made while its campaign is under way');
    END IF;
    SELECT a.reviewer_id INTO asked FROM governance_assignment a
    WHERE a.id = NEW.assignment_id AND a.item_id = NEW.item_id AND a.stage = NEW.stage AND a.state = 'assigned';
    said := governance_review_conflict(NEW.item_id, NEW.decided_by_id);
    IF said IS NULL AND asked IS NOT NULL AND asked <> NEW.decided_by_id THEN
        said := nullif(governance_review_conflict(NEW.item_id, asked), 'only an active person decides');
    END IF;
    IF said IS NOT NULL THEN
        PERFORM governance_review_refuses(said);
    END IF;
    IF asked IS NULL OR asked <> NEW.decided_by_id AND NOT EXISTS (
            SELECT FROM governance_delegation g WHERE g.delegator_id = asked AND g.delegate_id = NEW.decided_by_id
            AND g.ended_at IS NULL AND NEW.decided_at >= g.starts_at AND NEW.decided_at < g.ends_at) THEN
        PERFORM governance_review_refuses('only the person an item is assigned to decides it');
    END IF;
    IF item.state <> 'in_review' THEN
        PERFORM governance_review_refuses('an item with an outcome is decided again only by superseding');
    END IF;
    IF NEW.stage > 1 AND item.holder_id IN (NEW.decided_by_id, asked) THEN
        PERFORM governance_review_refuses('nobody certifies what is their own');
    END IF;
    IF item.subject_kind <> 'access' AND (NEW.limits <> '{}' OR NEW.valid_until IS NOT NULL
            OR NEW.verb = 'reduce' AND item.subject_kind <> 'entitlement') THEN
        PERFORM governance_review_refuses('what is no access is kept or removed as it is');
    END IF;
    IF NEW.stage < 1 OR NEW.stage > governance_item_stages(item.holder_first, item.risk) THEN
        PERFORM governance_review_refuses('an item has as many stages as its risk asks for');
    END IF;
    IF NEW.stage > 1 AND NOT EXISTS (
            SELECT FROM governance_reviewdecision d WHERE d.item_id = NEW.item_id AND d.stage = NEW.stage - 1
            AND d.verb IN ('certify', 'reduce') AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) THEN
        PERFORM governance_review_refuses('a stage is answered after the one before it');
    END IF;
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.item_id = NEW.item_id AND d.stage <> NEW.stage AND d.verb <> 'abstain'
               AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
               AND (d.decided_by_id IN (NEW.decided_by_id, asked) OR a.reviewer_id IN (NEW.decided_by_id, asked))) THEN
        PERFORM governance_review_refuses('two distinct people answer the two stages');
    END IF;
    IF NEW.verb = 'abstain' THEN
        RETURN NEW;
    END IF;
    SELECT d.id INTO before FROM governance_reviewdecision d
    WHERE d.item_id = NEW.item_id AND d.stage = NEW.stage AND d.verb <> 'abstain'
      AND NOT EXISTS (SELECT FROM governance_reviewdecision n WHERE n.supersedes_id = d.id);
    IF NEW.supersedes_id IS DISTINCT FROM before OR before IS NOT NULL
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = before) THEN
        PERFORM governance_review_refuses('a decision supersedes the one that was taken back');
    END IF;
    lines_left := governance_lines_left(NEW.item_id);
    IF NEW.verb = 'certify' THEN
        IF lines_left IS DISTINCT FROM (SELECT coalesce(array_agg(k ORDER BY k), '{}') FROM unnest(NEW.kept_lines) k) THEN
            PERFORM governance_review_refuses('keeping an item keeps each of its lines');
        END IF;
        IF item.risk IN ('high', 'critical') AND NEW.reason_code = '' THEN
            PERFORM governance_review_refuses('keeping what is of high risk needs a reason');
        END IF;
    END IF;
    IF NEW.verb = 'reduce' AND (NOT NEW.kept_lines <@ lines_left
            OR (SELECT count(*) <> count(DISTINCT k) FROM unnest(NEW.kept_lines) k)
            OR cardinality(NEW.kept_lines) >= cardinality(lines_left) AND NEW.limits = '{}'
            OR EXISTS (SELECT FROM jsonb_object_keys(NEW.limits) k WHERE NOT k = ANY(NEW.kept_lines::text[]))) THEN
        PERFORM governance_review_refuses('a reduction keeps some of its own lines, or tightens their limits');
    END IF;
    IF NEW.valid_until IS NOT NULL AND NEW.valid_until >= coalesce((
            SELECT max(g.expires_at) FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
            WHERE p.item_id = NEW.item_id AND g.ended_at IS NULL), NEW.decided_at) THEN
        PERFORM governance_review_refuses('an earlier end lies before the end that stands');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION governance_item_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stands record;
BEGIN
    IF (NEW.campaign_id, NEW.number, NEW.subject_kind, NEW.subject_key, NEW.label, NEW.holder_id, NEW.holder_first,
            NEW.agent_id, NEW.system_id, NEW.subjects_digest, NEW.subjects, NEW.risk)
            IS DISTINCT FROM (OLD.campaign_id, OLD.number, OLD.subject_kind, OLD.subject_key, OLD.label, OLD.holder_id, OLD.holder_first,
            OLD.agent_id, OLD.system_id, OLD.subjects_digest, OLD.subjects, OLD.risk) THEN
        PERFORM governance_review_refuses('what an item is about is fixed when its campaign begins');
    END IF;
    IF OLD.state <> 'in_review' AND NEW.state <> OLD.state AND NOT (OLD.state = 'decided' AND NEW.state = 'in_review'
            AND EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = OLD.current_decision_id)) THEN
        PERFORM governance_review_refuses('an item with an outcome keeps it');
    END IF;
    IF NEW.current_decision_id IS NOT DISTINCT FROM OLD.current_decision_id OR NEW.current_decision_id IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT d.*, EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id) AS back INTO stands
    FROM governance_reviewdecision d WHERE d.id = NEW.current_decision_id AND d.item_id = NEW.id;
    IF stands IS NULL OR stands.back OR stands.verb = 'abstain' THEN
        PERFORM governance_review_refuses('the decision of an item is about that item');
    END IF;
    IF stands.verb <> 'revoke' AND (SELECT count(DISTINCT d.stage) FROM governance_reviewdecision d
            WHERE d.item_id = NEW.id AND d.verb IN ('certify', 'reduce')
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) < governance_item_stages(NEW.holder_first, NEW.risk) THEN
        PERFORM governance_review_refuses('an item is decided when each of its stages is answered');
    END IF;
    IF EXISTS (SELECT FROM governance_reviewdecision d WHERE d.item_id = NEW.id
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
            AND coalesce(array_position(ARRAY['certify', 'reduce', 'revoke'], d.verb::text), 0)
                > array_position(ARRAY['certify', 'reduce', 'revoke'], stands.verb::text)) THEN
        PERFORM governance_review_refuses('the strictest answer wins');
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION governance_no_answer_keeps_its_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.before IS DISTINCT FROM OLD.before THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER what_the_deadline_took_stays BEFORE UPDATE ON governance_noanswer
FOR EACH ROW EXECUTE FUNCTION governance_no_answer_keeps_its_before();
"""
UNDO = """
DROP FUNCTION governance_item_stages(boolean, text), governance_no_answer_keeps_its_before() CASCADE;
"""


def may_be_none(model_name, name, field):
    """Let a reference be none. Django would drop and remake it, for which nobody could read the table it points at."""
    column = f"ALTER TABLE governance_{model_name} ALTER COLUMN {name}_id"
    return migrations.SeparateDatabaseAndState(
        [migrations.RunSQL(f"{column} DROP NOT NULL", f"{column} SET NOT NULL")],
        [migrations.AlterField(model_name, name, field)],
    )


class Migration(migrations.Migration):

    dependencies = [
        ('entitlements', '0015_since_when_somebody_is_in_a_group'),
        ('governance', '0031_how_reviewers_look'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='populationrow',
            name='a_grant_is_in_a_population_once',
        ),
        migrations.AddField(
            model_name='noanswer',
            name='before',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='populationrow',
            name='person',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='holder',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='holder_first',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='label',
            field=models.CharField(blank=True, db_default='', default='', max_length=300),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='subject_key',
            field=models.CharField(blank=True, db_default='', default='', max_length=300),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='subject_kind',
            field=models.CharField(choices=[('access', "An agent's access at a system"), ('delegation', 'An agent acting for a person'), ('agent', 'An agent'), ('client', 'A client and its credential'), ('api_token', 'A personal token'), ('entitlement', 'An entitlement'), ('role', 'A role in Mandate')], db_default='access', default='access', max_length=16),
        ),
        migrations.AlterField(
            model_name='campaign',
            name='kind',
            field=models.CharField(choices=[('agent_owner', 'Agents, by sponsor'), ('resource_owner', 'Systems, by owner'), ('privileged_tools', 'Tools of high risk, by owner of the system'), ('findings', 'Access with open findings, by owner of the system'), ('delegation', 'Whom agents act for, by each person'), ('ownership', 'Agents themselves, by sponsor'), ('credential', 'Secrets, keys and tokens, by owner'), ('entitlement_definition', 'What entitlements contain, by owner of the system'), ('console_access', 'Roles and tokens in Mandate itself, by manager')], default='agent_owner', max_length=32),
        ),
        may_be_none(
            model_name='populationrow',
            name='grant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.grant'),
        ),
        migrations.AlterField(
            model_name='populationrow',
            name='grant_version',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        may_be_none(
            model_name='reviewitem',
            name='agent',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='entitlements.agent'),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='subjects_digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        may_be_none(
            model_name='reviewitem',
            name='system',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='entitlements.system'),
        ),
        may_be_none(
            model_name='reviewline',
            name='grant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.grant'),
        ),
        migrations.AddConstraint(
            model_name='populationrow',
            constraint=models.UniqueConstraint(condition=models.Q(('grant__isnull', False)), fields=('campaign', 'grant', 'person'), name='a_grant_is_in_a_population_once_for_whom_it_is_asked', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='populationrow',
            constraint=models.UniqueConstraint(condition=models.Q(('grant__isnull', True)), fields=('item',), name='what_is_no_grant_is_one_row'),
        ),
        AddConstraintNotValid('populationrow', models.CheckConstraint(condition=models.Q(models.Q(('grant', None), ('grant_version', None), ('person', None)), models.Q(('grant__isnull', False), ('grant_version__isnull', False)), _connector='OR'), name='a_row_of_a_grant_says_its_version')),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(condition=models.Q(('subject_kind', 'access'), _negated=True), fields=('campaign', 'subject_kind', 'subject_key'), name='a_subject_is_one_item_of_a_campaign'),
        ),
        AddConstraintNotValid('reviewitem', models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('label', ''), ('subject_key', ''), ('subject_kind', 'access'), ('system__isnull', False)), models.Q(('subject_kind__in', ['delegation', 'agent', 'client', 'api_token', 'entitlement', 'role']), models.Q(('subject_key', ''), _negated=True), models.Q(('label', ''), _negated=True)), _connector='OR'), name='an_item_says_what_it_is_about')),
        AddConstraintNotValid('reviewitem', models.CheckConstraint(condition=models.Q(('holder_first', False), models.Q(('holder__isnull', False), ('subject_kind__in', ['delegation', 'client', 'api_token'])), _connector='OR'), name='who_is_asked_first_about_her_own_holds_it')),
        AddConstraintNotValid('reviewitem', models.CheckConstraint(condition=models.Q(models.Q(('subject_kind__in', ['delegation', 'api_token', 'role']), _negated=True), ('holder__isnull', False), _connector='OR'), name='what_is_somebodys_own_says_whose')),
        migrations.AddConstraint(
            model_name='reviewline',
            constraint=models.UniqueConstraint(condition=models.Q(('grant__isnull', True)), fields=('item', 'tool'), name='a_tool_of_an_entitlement_is_in_an_item_once'),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
