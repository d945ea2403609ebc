"""Reviews that reduce, abstain, shorten, ask two people, are recalled and opened again, and end without an answer.

Only adds: the release before goes on deciding what needs one person; what needs two it is refused until it is replaced.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F
from datetime import timedelta

DO = """
CREATE FUNCTION governance_review_stages(risk text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN risk IN ('high', 'critical') THEN 2 ELSE 1 END
$$;

-- The lines of an item that no cut which stands has taken away.
CREATE FUNCTION governance_lines_left(asked uuid) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') FROM governance_reviewline l
    WHERE l.item_id = asked AND NOT EXISTS (
        SELECT FROM governance_reviewdecision d LEFT JOIN governance_remediation r ON r.decision_id = d.id
        WHERE d.item_id = asked AND d.verb = 'reduce' AND NOT l.id = ANY(d.kept_lines)
          AND r.state IS DISTINCT FROM 'withdrawn')
$$;

CREATE FUNCTION governance_review_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = who AND p.is_active) THEN
        RETURN 'only an active person decides';
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
    IF NEW.stage < 1 OR NEW.stage > governance_review_stages(item.risk) THEN
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
    IF (NEW.campaign_id, NEW.number, NEW.agent_id, NEW.system_id, NEW.subjects_digest, NEW.subjects, NEW.risk)
            IS DISTINCT FROM (OLD.campaign_id, OLD.number, OLD.agent_id, OLD.system_id, OLD.subjects_digest, OLD.subjects, OLD.risk) THEN
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
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) < governance_review_stages(NEW.risk) THEN
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

CREATE OR REPLACE FUNCTION governance_removal_is_followed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.verb IN ('revoke', 'reduce') OR NEW.valid_until IS NOT NULL)
            AND NOT EXISTS (SELECT FROM governance_remediation r WHERE r.decision_id = NEW.id) THEN
        PERFORM governance_review_refuses('a removal is followed by its remediation');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION governance_answer_is_taken_back() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said record;
BEGIN
    SELECT d.*, c.state AS campaign_state, c.owner_id INTO said FROM governance_reviewdecision d
    JOIN governance_reviewitem i ON i.id = d.item_id JOIN governance_campaign c ON c.id = i.campaign_id
    WHERE d.id = NEW.decision_id FOR SHARE OF c;
    IF said.campaign_state <> 'active' THEN
        PERFORM governance_review_refuses('an answer is taken back while its campaign is under way');
    END IF;
    IF said.verb = 'abstain' THEN
        PERFORM governance_review_refuses('an abstention is no answer to take back');
    END IF;
    IF NEW.kind = 'recall' AND (NEW.by_id <> said.decided_by_id OR NEW.at > said.decided_at + interval '15 minutes') THEN
        PERFORM governance_review_refuses('only the reviewer recalls an answer, within fifteen minutes');
    END IF;
    IF NEW.kind = 'recall' AND EXISTS (SELECT FROM governance_reviewdecision d WHERE d.item_id = said.item_id
            AND d.stage > said.stage AND d.verb <> 'abstain'
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) THEN
        PERFORM governance_review_refuses('an answer on which another stands is not recalled');
    END IF;
    IF NEW.kind = 'reopen' AND NEW.by_id <> said.owner_id THEN
        PERFORM governance_review_refuses('only the owner of a campaign opens an item again');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_answer_is_taken_back_by_who_may BEFORE INSERT ON governance_takenback
FOR EACH ROW EXECUTE FUNCTION governance_answer_is_taken_back();
CREATE TRIGGER what_is_taken_back_stays_so BEFORE UPDATE OR DELETE ON governance_takenback
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_no_answer_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.item_id, NEW.did, NEW.at, NEW.grants, NEW.calls_a_day, NEW.revoke_at)
            IS DISTINCT FROM (OLD.item_id, OLD.did, OLD.at, OLD.grants, OLD.calls_a_day, OLD.revoke_at)
            OR OLD.restored_at IS NOT NULL OR OLD.revoked_at IS NOT NULL THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    IF NEW.restored_at IS NOT NULL AND (NEW.restored_at >= OLD.revoke_at
            OR governance_review_conflict(NEW.item_id, NEW.restored_by_id) IS NOT NULL
            OR EXISTS (SELECT FROM governance_assignment a WHERE a.item_id = NEW.item_id AND a.reviewer_id = NEW.restored_by_id)) THEN
        PERFORM governance_review_refuses('a second person restores, while there is time');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER what_the_deadline_did_stays BEFORE UPDATE OR DELETE ON governance_noanswer
FOR EACH ROW EXECUTE FUNCTION governance_no_answer_stays();

CREATE OR REPLACE FUNCTION governance_remediation_is_proven() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state = 'verified' AND (OLD.final_at IS NULL OR OLD.finished_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('a proven removal stays proven');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'verified' AND NEW.state = 'failed' AND NEW.finished_at IS NULL THEN
        PERFORM governance_review_refuses('a proven removal stays proven');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'withdrawn' THEN
        PERFORM governance_review_refuses('a removal that was taken back stays so');
    END IF;
    IF NEW.state = 'withdrawn' AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = NEW.decision_id) THEN
        PERFORM governance_review_refuses('a removal is taken back with its answer');
    END IF;
    IF NEW.state = 'excepted' AND NOT EXISTS (SELECT FROM governance_removalexception x
            WHERE x.remediation_id = NEW.decision_id AND x.ended_at IS NULL) THEN
        PERFORM governance_review_refuses('a removal is excepted by somebody, until a day');
    END IF;
    IF NEW.state = 'verified' AND (coalesce(NEW.probe ->> 'holds', '') <> 'true'
            OR coalesce(jsonb_typeof(NEW.probe -> 'calls'), '') <> 'array' OR NEW.probe -> 'calls' = '[]') THEN
        PERFORM governance_review_refuses('a removal is verified by a probe in which every call was denied');
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION governance_removal_is_excepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND ((NEW.remediation_id, NEW.by_id, NEW.reason, NEW.control, NEW.made_at, NEW.expires_at)
            IS DISTINCT FROM (OLD.remediation_id, OLD.by_id, OLD.reason, OLD.control, OLD.made_at, OLD.expires_at)
            OR OLD.ended_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
            WHERE d.id = NEW.remediation_id AND NEW.by_id IN (d.decided_by_id, a.reviewer_id)) THEN
        PERFORM governance_review_refuses('a second person excepts a removal');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_exception_is_kept_for_good BEFORE INSERT OR UPDATE OR DELETE ON governance_removalexception
FOR EACH ROW EXECUTE FUNCTION governance_removal_is_excepted();

CREATE OR REPLACE FUNCTION governance_campaign_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF OLD.state <> 'draft' AND (NEW.kind, NEW.scope, NEW.scope_sha256, NEW.snapshot_at, NEW.population_rows, NEW.population_sha256, NEW.is_rehearsal)
            IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.scope_sha256, OLD.snapshot_at, OLD.population_rows, OLD.population_sha256, OLD.is_rehearsal) THEN
        PERFORM governance_review_refuses('what a campaign looks at is fixed when it begins');
    END IF;
    IF OLD.state = 'draft' AND NEW.state = 'active' AND (
        (SELECT count(*) FROM governance_populationrow p WHERE p.campaign_id = NEW.id) <> NEW.population_rows
        OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review' AND NOT EXISTS
                   (SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.state = 'assigned'))) THEN
        PERFORM governance_review_refuses('a campaign begins with all of its population, each item assigned');
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
"""
UNDO = """
DROP FUNCTION governance_review_stages(text), governance_lines_left(uuid), governance_review_conflict(uuid, bigint),
    governance_answer_is_taken_back(), governance_no_answer_stays(), governance_removal_is_excepted() CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0018_emergency_grants'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='NoAnswer',
            fields=[
                ('item', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='no_answer', serialize=False, to='governance.reviewitem')),
                ('did', models.CharField(choices=[('keep_flagged', 'Kept, not reviewed'), ('suspend', 'Suspended'), ('rehearsed', 'Would have been suspended')], max_length=16)),
                ('at', models.DateTimeField()),
                ('grants', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list)),
                ('calls_a_day', models.PositiveIntegerField(default=0)),
                ('revoke_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('restored_at', models.DateTimeField(blank=True, null=True)),
                ('reason', models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.CreateModel(
            name='RemovalException',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=500)),
                ('control', models.CharField(max_length=500)),
                ('made_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='TakenBack',
            fields=[
                ('decision', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='taken_back', serialize=False, to='governance.reviewdecision')),
                ('kind', models.CharField(choices=[('recall', 'Recalled'), ('reopen', 'Opened again')], max_length=16)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='remediation',
            name='what_is_applied_says_when',
        ),
        migrations.RemoveConstraint(
            model_name='reviewdecision',
            name='a_second_decision_supersedes_the_first',
        ),
        migrations.RemoveConstraint(
            model_name='reviewdecision',
            name='a_decision_keeps_or_removes',
        ),
        migrations.RemoveConstraint(
            model_name='reviewdecision',
            name='a_removal_has_a_reason_and_keeps_nothing',
        ),
        migrations.AddField(
            model_name='campaign',
            name='deadline_held',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='campaign',
            name='deadline_released_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='campaign',
            name='is_rehearsal',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='campaign',
            name='load_cap',
            field=models.PositiveIntegerField(blank=True, db_default=120, default=120, null=True),
        ),
        migrations.AddField(
            model_name='draft',
            name='bulk_op',
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='draft',
            name='limits',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='remediation',
            name='before',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='remediation',
            name='final_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='remediation',
            name='finished_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='reviewdecision',
            name='limits',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AlterField(
            model_name='remediation',
            name='state',
            field=models.CharField(choices=[('queued', 'Waiting'), ('applied', 'Removed, not yet proven'), ('verified', 'Removed and proven'), ('failed', 'Not proven'), ('excepted', 'Excepted for a while'), ('withdrawn', 'Taken back')], default='queued', max_length=16),
        ),
        migrations.AddIndex(
            model_name='remediation',
            index=models.Index(condition=models.Q(('final_at__isnull', False), ('finished_at', None)), fields=['final_at'], name='not_final'),
        ),
        migrations.AddConstraint(
            model_name='remediation',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'withdrawn', 'excepted']), ('applied_at__isnull', False), _connector='OR'), name='what_is_applied_says_when'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.UniqueConstraint(condition=models.Q(('supersedes__isnull', True), models.Q(('verb', 'abstain'), _negated=True)), fields=('item', 'stage'), name='a_second_decision_supersedes_the_first'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(('verb__in', ['certify', 'reduce', 'revoke', 'abstain'])), name='a_decision_has_a_known_verb'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verb', 'revoke'), _negated=True), models.Q(models.Q(('reason_code', ''), _negated=True), ('kept_lines', []), ('limits', {}), ('valid_until', None)), _connector='OR'), name='a_removal_has_a_reason_and_keeps_nothing'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verb', 'reduce'), _negated=True), models.Q(models.Q(('reason_code', ''), _negated=True), models.Q(('kept_lines', []), _negated=True)), _connector='OR'), name='a_reduction_has_a_reason_and_keeps_something'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verb', 'abstain'), _negated=True), models.Q(('kept_lines', []), ('limits', {}), ('reason_code__in', ['not_mine', 'dont_understand', 'conflict', 'need_info']), ('supersedes', None), ('valid_until', None)), _connector='OR'), name='an_abstention_says_why_and_decides_nothing'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verb', 'certify'), _negated=True), ('limits', {}), _connector='OR'), name='keeping_all_tightens_nothing'),
        ),
        migrations.AddConstraint(
            model_name='reviewdecision',
            constraint=models.CheckConstraint(condition=models.Q(('valid_until', None), ('valid_until__gt', models.F('decided_at')), _connector='OR'), name='an_earlier_end_is_yet_to_come'),
        ),
        migrations.AddField(
            model_name='noanswer',
            name='restored_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='removalexception',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='removalexception',
            name='remediation',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exceptions', to='governance.remediation'),
        ),
        migrations.AddField(
            model_name='takenback',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='noanswer',
            index=models.Index(condition=models.Q(('restored_at', None), ('revoked_at', None)), fields=['revoke_at'], name='unanswered_to_revoke'),
        ),
        migrations.AddConstraint(
            model_name='noanswer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('did', 'suspend'), ('revoke_at__isnull', False)), models.Q(models.Q(('did', 'suspend'), _negated=True), ('revoke_at', None)), _connector='OR'), name='what_the_deadline_suspends_it_later_revokes'),
        ),
        migrations.AddConstraint(
            model_name='noanswer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('restored_at', None), ('restored_by', None)), models.Q(('restored_at__isnull', False), ('restored_by__isnull', False), ('revoked_at', None), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='what_is_restored_says_by_whom_and_why'),
        ),
        migrations.AddConstraint(
            model_name='removalexception',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), models.Q(('control', ''), _negated=True), ('expires_at__gt', models.F('made_at')), ('expires_at__lte', F('made_at') + timedelta(days=180))), name='a_cut_is_excepted_for_a_while_and_says_why'),
        ),
        migrations.AddConstraint(
            model_name='removalexception',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('remediation',), name='one_open_exception_per_cut'),
        ),
        migrations.AddConstraint(
            model_name='takenback',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'recall'), models.Q(('kind', 'reopen'), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='opening_an_item_again_says_why'),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
