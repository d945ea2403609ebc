"""An auditor's work on a closed review: shares, samples, marks and questions, none of which is ever rewritten."""

import datetime
import django.db.models.deletion
import django.db.models.expressions
import uuid
from django.conf import settings
from django.db import migrations, models


DO = """
CREATE TRIGGER a_sample_is_never_changed BEFORE UPDATE OR DELETE ON governance_auditsample
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_sampled_item_is_never_changed BEFORE UPDATE OR DELETE ON governance_sampleditem
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_mark_is_never_changed BEFORE UPDATE OR DELETE ON governance_auditmark
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER an_audit_question_is_never_deleted BEFORE DELETE ON governance_auditquestion
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_share_is_never_deleted BEFORE DELETE ON governance_evidenceshare
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_audit_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'governance_auditquestion' AND (to_jsonb(OLD) ->> 'answer' <> ''
            OR to_jsonb(NEW) - 'answer' - 'answered_by_id' - 'answered_at'
               IS DISTINCT FROM to_jsonb(OLD) - 'answer' - 'answered_by_id' - 'answered_at') THEN
        PERFORM governance_review_refuses('a question of an auditor stays, and is answered once');
    END IF;
    IF TG_TABLE_NAME = 'governance_evidenceshare' AND (to_jsonb(OLD) ->> 'ended_at' IS NOT NULL
            OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at') THEN
        PERFORM governance_review_refuses('a share of evidence stays, and is ended once');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_audit_question_is_answered_once BEFORE UPDATE ON governance_auditquestion
FOR EACH ROW EXECUTE FUNCTION governance_audit_goes_its_way();
CREATE TRIGGER a_share_is_ended_once BEFORE UPDATE ON governance_evidenceshare
FOR EACH ROW EXECUTE FUNCTION governance_audit_goes_its_way();

CREATE FUNCTION governance_audit_is_of_what_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.campaign_id AND c.state = 'closed') THEN
        PERFORM governance_review_refuses('evidence is tested once its campaign is closed');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_sample_is_of_what_is_closed BEFORE INSERT ON governance_auditsample
FOR EACH ROW EXECUTE FUNCTION governance_audit_is_of_what_is_closed();
CREATE TRIGGER what_is_closed_is_shared BEFORE INSERT ON governance_evidenceshare
FOR EACH ROW EXECUTE FUNCTION governance_audit_is_of_what_is_closed();
"""
UNDO = """
DROP TRIGGER what_is_closed_is_shared ON governance_evidenceshare;
DROP TRIGGER a_sample_is_of_what_is_closed ON governance_auditsample;
DROP TRIGGER a_share_is_ended_once ON governance_evidenceshare;
DROP TRIGGER an_audit_question_is_answered_once ON governance_auditquestion;
DROP TRIGGER a_share_is_never_deleted ON governance_evidenceshare;
DROP TRIGGER an_audit_question_is_never_deleted ON governance_auditquestion;
DROP TRIGGER a_mark_is_never_changed ON governance_auditmark;
DROP TRIGGER a_sampled_item_is_never_changed ON governance_sampleditem;
DROP TRIGGER a_sample_is_never_changed ON governance_auditsample;
DROP FUNCTION governance_audit_is_of_what_is_closed();
DROP FUNCTION governance_audit_goes_its_way();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0034_late_members_and_second_accounts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditSample',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('drawn_at', models.DateTimeField()),
                ('seed', models.CharField(max_length=64)),
                ('wanted', models.PositiveSmallIntegerField()),
                ('strata', models.CharField(choices=[('none', 'None'), ('risk', 'Risk'), ('outcome', 'Outcome'), ('system', 'System')], max_length=16)),
                ('frame', models.PositiveIntegerField()),
                ('frame_sha256', models.CharField(max_length=64)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='samples', to='governance.campaign')),
                ('drawn_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='EvidenceShare',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reason', models.CharField(max_length=500)),
                ('made_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('auditor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evidence_shares', to=settings.AUTH_USER_MODEL)),
                ('by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='governance.campaign')),
            ],
        ),
        migrations.CreateModel(
            name='SampledItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('stratum', models.CharField(blank=True, max_length=64)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.reviewitem')),
                ('sample', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='governance.auditsample')),
            ],
        ),
        migrations.CreateModel(
            name='AuditMark',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('finding', models.CharField(choices=[('pass', 'Pass'), ('exception', 'Exception'), ('query', 'Query')], max_length=16)),
                ('note', models.CharField(blank=True, max_length=2000)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('sampled', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='marks', to='governance.sampleditem')),
            ],
        ),
        migrations.CreateModel(
            name='AuditQuestion',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('text', models.CharField(max_length=2000)),
                ('asked_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('answer', models.CharField(blank=True, max_length=2000)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
                ('answered_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asked_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='audit_questions', to='governance.campaign')),
                ('item', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.reviewitem')),
            ],
            options={
                'indexes': [models.Index(fields=['campaign', '-asked_at', '-id'], name='audit_question_page')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('text', ''), _negated=True), models.Q(models.Q(('answer', ''), ('answered_at', None), ('answered_by', None)), models.Q(models.Q(('answer', ''), _negated=True), ('answered_at__isnull', False), ('answered_by__isnull', False)), _connector='OR')), name='an_audit_question_says_something_and_is_answered_whole')],
            },
        ),
        migrations.AddIndex(
            model_name='auditsample',
            index=models.Index(fields=['campaign', '-drawn_at', '-id'], name='sample_page'),
        ),
        migrations.AddConstraint(
            model_name='auditsample',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('seed', ''), _negated=True), ('wanted__gte', 1), ('wanted__lte', 500)), name='a_sample_has_a_seed_and_a_size'),
        ),
        migrations.AddConstraint(
            model_name='evidenceshare',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), ('expires_at__gt', models.F('made_at')), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('made_at'), '+', models.Value(datetime.timedelta(days=90))))), name='evidence_is_shared_for_a_while_and_says_why'),
        ),
        migrations.AddConstraint(
            model_name='evidenceshare',
            constraint=models.CheckConstraint(condition=models.Q(('by', models.F('auditor')), _negated=True), name='evidence_is_shared_by_another'),
        ),
        migrations.AddConstraint(
            model_name='evidenceshare',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('campaign', 'auditor'), name='one_open_share_per_auditor_and_review'),
        ),
        migrations.AddConstraint(
            model_name='sampleditem',
            constraint=models.UniqueConstraint(fields=('sample', 'item'), name='an_item_is_in_a_sample_once'),
        ),
        migrations.AddConstraint(
            model_name='auditmark',
            constraint=models.CheckConstraint(condition=models.Q(('finding', 'pass'), models.Q(('finding__in', ['exception', 'query']), models.Q(('note', ''), _negated=True)), _connector='OR'), name='what_does_not_pass_says_why'),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
