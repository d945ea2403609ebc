"""Access reviews, and what the database refuses about them: the last line of defence of promise 6 and of the evidence."""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

DO = """
CREATE FUNCTION governance_review_refuses(said text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', said USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION governance_review_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    RETURN NULL;
END $$;
CREATE TRIGGER a_decision_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_population_is_never_changed BEFORE UPDATE OR DELETE ON governance_populationrow
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_line_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewline
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_campaign_is_never_deleted BEFORE DELETE ON governance_campaign
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER an_item_is_never_deleted BEFORE DELETE ON governance_reviewitem
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER an_assignment_is_never_deleted BEFORE DELETE ON governance_assignment
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_remediation_is_never_deleted BEFORE DELETE ON governance_remediation
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_population_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN governance_campaign c ON c.id = added.campaign_id WHERE c.state <> 'draft') THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER items_are_taken_before_the_campaign_begins AFTER INSERT ON governance_reviewitem
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_population_is_frozen();
CREATE TRIGGER rows_are_taken_before_the_campaign_begins AFTER INSERT ON governance_populationrow
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_population_is_frozen();
CREATE FUNCTION governance_lines_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN governance_reviewitem i ON i.id = added.item_id
               JOIN governance_campaign c ON c.id = i.campaign_id WHERE c.state <> 'draft') THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lines_are_taken_before_the_campaign_begins AFTER INSERT ON governance_reviewline
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_lines_are_frozen();

CREATE FUNCTION governance_campaign_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            PERFORM governance_review_refuses('a campaign begins as a draft');
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state = 'closed' THEN
        PERFORM governance_review_refuses('a closed campaign stays as it is');
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN
            (('draft', 'active'), ('active', 'closing'), ('closing', 'closed')) THEN
        PERFORM governance_review_refuses('a campaign goes from draft to under way, closing and closed');
    END IF;
    IF OLD.state <> 'draft' AND (NEW.kind, NEW.scope, NEW.scope_sha256, NEW.snapshot_at, NEW.population_rows, NEW.population_sha256)
            IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.scope_sha256, OLD.snapshot_at, OLD.population_rows, OLD.population_sha256) THEN
        PERFORM governance_review_refuses('what a campaign looks at is fixed when it begins');
    END IF;
    IF OLD.state = 'draft' AND NEW.state = 'active' AND (
        (SELECT count(*) FROM governance_populationrow p WHERE p.campaign_id = NEW.id) <> NEW.population_rows
        OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND NOT EXISTS
                   (SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.state = 'assigned'))) THEN
        PERFORM governance_review_refuses('a campaign begins with all of its population, each item assigned');
    END IF;
    IF OLD.state = 'active' AND NEW.state = 'closing' AND EXISTS
            (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review') THEN
        PERFORM governance_review_refuses('a campaign closes when every item has an outcome');
    END IF;
    IF NEW.state = 'closed' AND EXISTS
            (SELECT FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
             JOIN governance_reviewitem i ON i.id = d.item_id WHERE i.campaign_id = NEW.id AND r.state <> 'verified') THEN
        PERFORM governance_review_refuses('a campaign is closed when every removal is proven');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_campaign_goes_its_way BEFORE INSERT OR UPDATE ON governance_campaign
FOR EACH ROW EXECUTE FUNCTION governance_campaign_goes_its_way();

CREATE FUNCTION governance_item_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.campaign_id, NEW.number, NEW.agent_id, NEW.system_id, NEW.subjects_digest, NEW.subjects, NEW.risk)
            IS DISTINCT FROM (OLD.campaign_id, OLD.number, OLD.agent_id, OLD.system_id, OLD.subjects_digest, OLD.subjects, OLD.risk) THEN
        PERFORM governance_review_refuses('what an item is about is fixed when its campaign begins');
    END IF;
    IF OLD.state <> 'in_review' AND NEW.state <> OLD.state THEN
        PERFORM governance_review_refuses('an item with an outcome keeps it');
    END IF;
    IF NEW.current_decision_id IS DISTINCT FROM OLD.current_decision_id AND NOT EXISTS
            (SELECT FROM governance_reviewdecision d WHERE d.id = NEW.current_decision_id AND d.item_id = NEW.id
             AND d.supersedes_id IS NOT DISTINCT FROM OLD.current_decision_id) THEN
        PERFORM governance_review_refuses('the decision of an item is about that item');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_item_goes_its_way BEFORE UPDATE ON governance_reviewitem
FOR EACH ROW EXECUTE FUNCTION governance_item_goes_its_way();

CREATE FUNCTION governance_decision_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    SELECT i.*, c.state AS campaign_state, a.owner_id AS agent_owner INTO item
    FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id JOIN entitlements_agent a ON a.id = i.agent_id
    WHERE i.id = NEW.item_id FOR SHARE OF c;
    IF item.campaign_state <> 'active' THEN
        PERFORM governance_review_refuses('a decision is made while its campaign is under way');
    END IF;
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = NEW.decided_by_id AND p.is_active) THEN
        PERFORM governance_review_refuses('only an active person decides');
    END IF;
    IF NEW.decided_by_id = item.agent_owner THEN
        PERFORM governance_review_refuses('the technical owner never certifies for that agent');
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id
               WHERE p.item_id = NEW.item_id AND r.requested_by_id = NEW.decided_by_id) THEN
        PERFORM governance_review_refuses('nobody certifies what they requested');
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grantsubject s ON s.grant_id = p.grant_id
               LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
               WHERE p.item_id = NEW.item_id AND NEW.decided_by_id IN (s.person_id, m.person_id)) THEN
        PERFORM governance_review_refuses('nobody certifies what they benefit from');
    END IF;
    IF NOT EXISTS (SELECT FROM governance_assignment a WHERE a.id = NEW.assignment_id AND a.item_id = NEW.item_id
                   AND a.stage = NEW.stage AND a.reviewer_id = NEW.decided_by_id AND a.state = 'assigned') THEN
        PERFORM governance_review_refuses('only the person an item is assigned to decides it');
    END IF;
    IF NEW.supersedes_id IS NULL AND item.state <> 'in_review' THEN
        PERFORM governance_review_refuses('an item with an outcome is decided again only by superseding');
    END IF;
    IF NEW.supersedes_id IS NOT NULL AND NEW.supersedes_id IS DISTINCT FROM item.current_decision_id THEN
        PERFORM governance_review_refuses('a decision supersedes the one that counts');
    END IF;
    IF NEW.verb = 'certify' THEN
        IF (SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') FROM governance_reviewline l WHERE l.item_id = NEW.item_id)
                IS DISTINCT FROM (SELECT coalesce(array_agg(k ORDER BY k), '{}') FROM unnest(NEW.kept_lines) k) THEN
            PERFORM governance_review_refuses('keeping an item keeps each of its lines');
        END IF;
        IF item.risk IN ('high', 'critical') AND NEW.reason_code = '' THEN
            PERFORM governance_review_refuses('keeping what is of high risk needs a reason');
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_decision_is_allowed BEFORE INSERT ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_decision_is_allowed();

CREATE FUNCTION governance_removal_is_followed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.verb = 'revoke' AND NOT EXISTS (SELECT FROM governance_remediation r WHERE r.decision_id = NEW.id) THEN
        PERFORM governance_review_refuses('a removal is followed by its remediation');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER a_removal_is_followed_by_its_remediation AFTER INSERT ON governance_reviewdecision
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION governance_removal_is_followed();

CREATE FUNCTION governance_remediation_is_proven() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state = 'verified' THEN
        PERFORM governance_review_refuses('a proven removal stays proven');
    END IF;
    IF NEW.state = 'verified' AND (coalesce(NEW.probe ->> 'holds', '') <> 'true'
            OR coalesce(jsonb_typeof(NEW.probe -> 'calls'), '') <> 'array' OR NEW.probe -> 'calls' = '[]') THEN
        PERFORM governance_review_refuses('a removal is verified by a probe in which every call was denied');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_removal_is_verified_by_a_probe BEFORE INSERT OR UPDATE ON governance_remediation
FOR EACH ROW EXECUTE FUNCTION governance_remediation_is_proven();
"""
UNDO = """
DROP FUNCTION governance_review_refuses(text), governance_review_stays(), governance_population_is_frozen(),
    governance_lines_are_frozen(), governance_campaign_goes_its_way(), governance_item_goes_its_way(),
    governance_decision_is_allowed(), governance_removal_is_followed(), governance_remediation_is_proven() CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('entitlements', '0003_tokens_of_a_parent'),
        ('governance', '0003_what_was_asked_and_who_answered'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('stage', models.PositiveSmallIntegerField(default=1)),
                ('state', models.CharField(choices=[('assigned', 'Assigned'), ('submitted', 'Submitted'), ('reassigned', 'Given to somebody else'), ('withdrawn', 'No longer needed')], default='assigned', max_length=16)),
                ('resolution', models.JSONField(default=dict)),
                ('opened_at', models.DateTimeField(blank=True, null=True)),
                ('assigned_at', models.DateTimeField()),
                ('replaced_by', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaces', to='governance.assignment')),
                ('reviewer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_assignments', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ReviewDecision',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('stage', models.PositiveSmallIntegerField(default=1)),
                ('via', models.CharField(choices=[('ui', 'Console'), ('api', 'API')], max_length=16)),
                ('verb', models.CharField(max_length=16)),
                ('kept_lines', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list)),
                ('valid_until', models.DateTimeField(blank=True, null=True)),
                ('reason_code', models.CharField(blank=True, max_length=32)),
                ('comment', models.TextField(blank=True, max_length=2000)),
                ('suggestion', models.CharField(blank=True, max_length=16)),
                ('reco_version', models.CharField(blank=True, max_length=32)),
                ('dwell_ms', models.PositiveIntegerField(blank=True, null=True)),
                ('evidence_opened', models.BooleanField(null=True)),
                ('bulk_op', models.UUIDField(blank=True, null=True)),
                ('amr', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), default=list)),
                ('decided_at', models.DateTimeField()),
                ('assignment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='governance.assignment')),
                ('decided_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_decisions', to=settings.AUTH_USER_MODEL)),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successor', to='governance.reviewdecision')),
            ],
        ),
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('assignment', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='draft', serialize=False, to='governance.assignment')),
                ('verb', models.CharField(blank=True, max_length=16)),
                ('kept_lines', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list)),
                ('valid_until', models.DateTimeField(blank=True, null=True)),
                ('reason_code', models.CharField(blank=True, max_length=32)),
                ('comment', models.TextField(blank=True, max_length=2000)),
                ('rev', models.PositiveIntegerField(default=1)),
                ('saved_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=64, unique=True)),
                ('name', models.CharField(max_length=200)),
                ('kind', models.CharField(choices=[('agent_owner', 'Agents, by sponsor')], default='agent_owner', max_length=32)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('active', 'Under way'), ('closing', 'Removals being proven'), ('closed', 'Closed')], default='draft', max_length=16)),
                ('scope', models.JSONField(default=dict)),
                ('scope_sha256', models.CharField(max_length=64)),
                ('due_at', models.DateTimeField()),
                ('created_at', models.DateTimeField()),
                ('snapshot_at', models.DateTimeField(blank=True, null=True)),
                ('population_rows', models.PositiveIntegerField(blank=True, null=True)),
                ('population_sha256', models.CharField(blank=True, max_length=64)),
                ('closing_at', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='campaigns', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Remediation',
            fields=[
                ('decision', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='remediation', serialize=False, to='governance.reviewdecision')),
                ('action', models.CharField(default='revoke', max_length=16)),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('applied', 'Removed, not yet proven'), ('verified', 'Removed and proven'), ('failed', 'Not proven')], default='queued', max_length=16)),
                ('not_before', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('applied_at', models.DateTimeField(blank=True, null=True)),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
                ('residual_until', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('probe', models.JSONField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ReviewItem',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('subjects_digest', models.CharField(max_length=64)),
                ('subjects', django.contrib.postgres.fields.ArrayField(base_field=models.TextField())),
                ('risk', models.CharField(max_length=16)),
                ('state', models.CharField(choices=[('in_review', 'Open'), ('decided', 'Decided'), ('no_response', 'Not answered'), ('superseded', 'Ended meanwhile')], default='in_review', max_length=16)),
                ('exclusion_reason', models.CharField(blank=True, max_length=500)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='entitlements.agent')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='governance.campaign')),
                ('current_decision', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.reviewdecision')),
                ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='entitlements.system')),
            ],
        ),
        migrations.AddField(
            model_name='reviewdecision',
            name='item',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='governance.reviewitem'),
        ),
        migrations.CreateModel(
            name='PopulationRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('grant_version', models.PositiveIntegerField()),
                ('payload', models.TextField()),
                ('row_sha256', models.CharField(max_length=64)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='population', to='governance.campaign')),
                ('grant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.grant')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='population', to='governance.reviewitem')),
            ],
        ),
        migrations.AddField(
            model_name='assignment',
            name='item',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='governance.reviewitem'),
        ),
        migrations.CreateModel(
            name='ReviewLine',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('limits', models.JSONField(default=dict)),
                ('usage_grade', models.CharField(choices=[('A', 'Every call is seen'), ('B', 'Only tokens are seen'), ('C', 'Nothing is seen')], max_length=1)),
                ('calls_window', models.PositiveIntegerField(null=True)),
                ('denied_window', models.PositiveIntegerField(null=True)),
                ('last_call_at', models.DateTimeField(null=True)),
                ('grant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.grant')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='governance.reviewitem')),
                ('tool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.tool')),
                ('tool_version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.toolversion')),
            ],
        ),
        migrations.AddIndex(
            model_name='campaign',
            index=models.Index(fields=['-created_at', '-id'], name='campaign_page'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['draft', 'active', 'closing', 'closed'])), name='a_campaign_state_is_known'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('population_rows', None), ('population_sha256', ''), ('snapshot_at', None), ('state', 'draft')), models.Q(models.Q(('state', 'draft'), _negated=True), ('population_rows__gt', 0), ('snapshot_at__isnull', False), ('population_sha256__regex', '^[0-9a-f]{64}$')), _connector='OR'), name='a_campaign_that_began_has_a_hashed_population'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('state', 'closed')), models.Q(models.Q(('state', 'closed'), _negated=True), ('closed_at', None)), _connector='OR'), name='a_closed_campaign_says_when'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__gt', models.F('created_at'))), name='a_campaign_is_due_after_it_is_made'),
        ),
        migrations.AddIndex(
            model_name='remediation',
            index=models.Index(condition=models.Q(('state', 'verified'), _negated=True), fields=['not_before'], name='unproven'),
        ),
        migrations.AddConstraint(
            model_name='remediation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'verified'), _negated=True), models.Q(('applied_at__isnull', False), ('probe__holds', True), ('probe__isnull', False), ('verified_at__isnull', False)), _connector='OR'), name='what_is_verified_was_applied_and_probed'),
        ),
        migrations.AddConstraint(
            model_name='remediation',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'queued'), ('applied_at__isnull', False), _connector='OR'), name='what_is_applied_says_when'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('state', 'in_review')), fields=['campaign'], name='open_item'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(fields=('campaign', 'number'), name='items_of_a_campaign_are_numbered'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(fields=('campaign', 'agent', 'system', 'subjects_digest'), name='an_agents_access_at_a_system_is_one_item'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('current_decision__isnull', False), ('state', 'decided')), models.Q(models.Q(('state', 'decided'), _negated=True), ('current_decision', None)), _connector='OR'), name='an_item_is_decided_exactly_when_it_has_a_decision'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.UniqueConstraint(condition=models.Q(('supersedes__isnull', True)), fields=('item', 'stage'), name='a_second_decision_supersedes_the_first'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(('verb__in', ['certify', 'revoke'])), name='a_decision_keeps_or_removes'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verb', 'revoke'), _negated=True), models.Q(models.Q(('reason_code', ''), _negated=True), ('kept_lines', [])), _connector='OR'), name='a_removal_has_a_reason_and_keeps_nothing'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(('supersedes', models.F('id')), _negated=True), name='nothing_supersedes_itself'),
        ),
        migrations.AddConstraint(
            model_name='populationrow',
            constraint=models.UniqueConstraint(fields=('campaign', 'seq'), name='rows_of_a_population_are_numbered'),
        ),
        migrations.AddConstraint(
            model_name='populationrow',
            constraint=models.UniqueConstraint(fields=('campaign', 'grant'), name='a_grant_is_in_a_population_once'),
        ),
        migrations.AddIndex(
            model_name='assignment',
            index=models.Index(condition=models.Q(('state', 'assigned')), fields=['reviewer'], name='assigned_to'),
        ),
        migrations.AddConstraint(
            model_name='assignment',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'assigned')), fields=('item', 'stage'), name='an_item_has_one_live_assignment_per_stage'),
        ),
        migrations.AddConstraint(
            model_name='reviewline',
            constraint=models.UniqueConstraint(fields=('item', 'grant', 'tool'), name='a_tool_of_a_grant_is_in_an_item_once'),
        ),
        migrations.AddConstraint(
            model_name='reviewline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('calls_window__isnull', False), ('denied_window__isnull', False), ('usage_grade', 'A')), models.Q(models.Q(('usage_grade', 'A'), _negated=True), ('calls_window', None), ('denied_window', None), ('last_call_at', None)), _connector='OR'), name='calls_are_counted_exactly_where_every_call_is_seen'),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
