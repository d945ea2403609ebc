"""Who must approve changes by two people, and explicit rules approve in nobody's name: the database knows their bounds."""

# ruff: noqa: E501 - the SQL is read as one piece

import datetime as dt
import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

DO = """
CREATE FUNCTION governance_answer_by_rule_is_within_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.rule_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM governance_accessrequest r JOIN governance_approvalrule u ON u.id = NEW.rule_id
         WHERE r.id = NEW.request_id AND r.state = 'in_approval' AND r.risk = 'low' AND r.renews_id IS NULL
           AND u.entitlement_id = r.entitlement_id AND u.state = 'in_force' AND u.expires_at > NEW.answered_at
           AND r.lasts <= u.longest
           AND NOT EXISTS (SELECT 1 FROM governance_requestline l JOIN entitlements_tool t ON t.id = l.tool_id
                            WHERE l.request_id = r.id AND l.kept AND (t.risk <> 'low' OR t.action <> 'read'))) THEN
        RAISE EXCEPTION 'a rule approves nothing beyond its bounds' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_answer_by_a_rule_is_within_it BEFORE INSERT OR UPDATE ON governance_approval
FOR EACH ROW WHEN (NEW.rule_id IS NOT NULL) EXECUTE FUNCTION governance_answer_by_rule_is_within_it();
"""

UNDO = """
DROP TRIGGER an_answer_by_a_rule_is_within_it ON governance_approval;
DROP FUNCTION governance_answer_by_rule_is_within_it();
"""


class Migration(migrations.Migration):
    """Three tables, a column, and the trigger that keeps rules within their bounds."""

    dependencies: ClassVar = [
        ("entitlements", "0008_backup_owner"),
        ("governance", "0021_reviews_that_reduce_recall_and_end"),
        ("governance", "0023_what_is_used_and_suggested"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ApprovalRule",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("longest", models.DurationField()),
                ("kinds", models.JSONField()),
                ("expires_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("in_force", "In force"),
                            ("withdrawn", "Withdrawn"),
                            ("ended", "Ended"),
                        ],
                        default="proposed",
                        max_length=16,
                    ),
                ),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.CreateModel(
            name="PolicyProposal",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("stages", models.JSONField()),
                ("answer_within", models.DurationField()),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("confirmed", "Confirmed"), ("withdrawn", "Withdrawn")],
                        default="proposed",
                        max_length=16,
                    ),
                ),
                ("proposed_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RuleApproval",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("approved_at", models.DateTimeField()),
                ("look_from", models.DateTimeField()),
                (
                    "verdict",
                    models.CharField(
                        blank=True, choices=[("keep", "Keep it"), ("revoke", "Take it back")], max_length=16
                    ),
                ),
                ("looked_at", models.DateTimeField(blank=True, null=True)),
                ("finding", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="approval",
            name="an_answer_says_by_whom_and_when",
        ),
        migrations.AddField(
            model_name="approvalrule",
            name="confirmed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="approvalrule",
            name="entitlement",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="approval_rules",
                to="entitlements.entitlement",
            ),
        ),
        migrations.AddField(
            model_name="approvalrule",
            name="group",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="entitlements.group",
            ),
        ),
        migrations.AddField(
            model_name="approvalrule",
            name="proposed_by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="rule",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.approvalrule",
            ),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answer__in", ["waiting", "void"]), ("rule", None)),
                    models.Q(("answered_at__isnull", False), ("by__isnull", False), ("rule", None)),
                    models.Q(
                        ("answer", "approved"),
                        ("answered_at__isnull", False),
                        ("by", None),
                        ("in_place_of", None),
                        ("rule__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="an_answer_says_by_whom_and_when",
            ),
        ),
        migrations.AddField(
            model_name="policyproposal",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="policyproposal",
            name="entitlement",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="entitlements.entitlement",
            ),
        ),
        migrations.AddField(
            model_name="policyproposal",
            name="policy",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposal",
                to="governance.approvalpolicy",
            ),
        ),
        migrations.AddField(
            model_name="policyproposal",
            name="proposed_by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="ruleapproval",
            name="looked_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="ruleapproval",
            name="request",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="by_rule", to="governance.accessrequest"
            ),
        ),
        migrations.AddField(
            model_name="ruleapproval",
            name="rule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="approved", to="governance.approvalrule"
            ),
        ),
        migrations.AddIndex(
            model_name="approvalrule",
            index=models.Index(fields=["-proposed_at", "-id"], name="approval_rule_page"),
        ),
        migrations.AddConstraint(
            model_name="approvalrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="an_approval_rule_says_why"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at__gt", models.F("proposed_at")),
                    (
                        "expires_at__lte",
                        models.F("proposed_at") + dt.timedelta(days=366),
                    ),
                    ("longest__gt", dt.timedelta(0)),
                    ("longest__lte", dt.timedelta(days=90)),
                ),
                name="an_approval_rule_is_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["proposed", "withdrawn"]),
                    models.Q(
                        ("confirmed_at__isnull", False),
                        ("confirmed_by__isnull", False),
                        models.Q(("confirmed_by", models.F("proposed_by")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="a_second_person_confirms_an_approval_rule",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("state__in", ["proposed", "in_force"])),
                    models.Q(
                        ("ended_at__isnull", False),
                        ("state__in", ["withdrawn", "ended"]),
                        models.Q(("end_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="an_ended_approval_rule_says_when_and_why",
            ),
        ),
        migrations.AddIndex(
            model_name="policyproposal",
            index=models.Index(fields=["-proposed_at", "-id"], name="policy_proposal_page"),
        ),
        migrations.AddConstraint(
            model_name="policyproposal",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="a_proposed_policy_says_why"
            ),
        ),
        migrations.AddConstraint(
            model_name="policyproposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "confirmed"), _negated=True),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("policy__isnull", False),
                        models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="a_second_person_confirms_a_policy",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyproposal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "proposed")),
                fields=("entitlement",),
                name="one_policy_is_proposed_at_a_time",
                nulls_distinct=False,
            ),
        ),
        migrations.AddIndex(
            model_name="ruleapproval",
            index=models.Index(fields=["-approved_at", "-id"], name="rule_approval_page"),
        ),
        migrations.AddIndex(
            model_name="ruleapproval",
            index=models.Index(condition=models.Q(("verdict", "")), fields=["look_from"], name="rule_approval_due"),
        ),
        migrations.AddConstraint(
            model_name="ruleapproval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finding", ""), ("looked_at", None), ("looked_by", None), ("verdict", "")),
                    models.Q(
                        ("looked_at__isnull", False),
                        ("looked_by__isnull", False),
                        ("verdict__in", ["keep", "revoke"]),
                        models.Q(("finding", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="whoever_looked_says_what_they_found",
            ),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
