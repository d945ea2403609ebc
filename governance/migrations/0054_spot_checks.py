"""Spot checks of reviews: switched on before a review ends, drawn once, answered once by somebody who was never asked.

Only adds. The release before draws none: a review that it closes keeps its plan, and has no checks.
"""

# ruff: noqa: E501 - the SQL is read as one piece

import uuid
from datetime import timedelta
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE FUNCTION governance_spot_plan_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND (NEW.drawn_at IS NOT NULL OR NOT EXISTS (SELECT FROM governance_campaign c
            WHERE c.id = NEW.campaign_id AND c.kind <> 'micro' AND c.state IN ('draft', 'staging', 'staged', 'active', 'paused'))) THEN
        PERFORM governance_review_refuses('spot checks are switched on before a review ends');
    END IF;
    IF NEW.seed_sha256 <> encode(sha256(NEW.seed::bytea), 'hex') THEN
        PERFORM governance_review_refuses('the seed of spot checks is the one whose digest was told');
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.drawn_at IS NOT NULL OR to_jsonb(NEW) - 'drawn_at' - 'due_at' - 'frame'
            IS DISTINCT FROM to_jsonb(OLD) - 'drawn_at' - 'due_at' - 'frame') THEN
        PERFORM governance_review_refuses('what was said of spot checks stays, and they are drawn once');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER spot_checks_are_planned_by_the_rules BEFORE INSERT OR UPDATE ON governance_spotplan
FOR EACH ROW EXECUTE FUNCTION governance_spot_plan_is_allowed();
CREATE TRIGGER a_plan_of_spot_checks_is_never_deleted BEFORE DELETE ON governance_spotplan
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_spot_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[who]);
    why text := governance_review_conflict(asked, who);
BEGIN
    IF why IS NOT NULL THEN
        RETURN why;
    END IF;
    IF EXISTS (SELECT FROM governance_assignment a WHERE a.item_id = asked AND a.reviewer_id = ANY (voices))
    OR EXISTS (SELECT FROM governance_reviewdecision d WHERE d.item_id = asked AND d.decided_by_id = ANY (voices)) THEN
        RETURN 'who was asked about an item does not check its answer';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_approval v ON v.request_id = g.request_id
               WHERE p.item_id = asked AND v.answer = 'approved' AND (v.by_id = ANY (voices) OR v.in_place_of_id = ANY (voices))) THEN
        RETURN 'who said yes to access does not check that it was kept';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
               WHERE i.id = asked AND c.owner_id = ANY (voices))
    OR EXISTS (SELECT FROM entitlements_roleassignment r WHERE r.person_id = ANY (voices) AND r.role IN ('analyst', 'auditor', 'security')
               AND (r.expires_at IS NULL OR r.expires_at > now())) THEN
        RETURN 'who sees every answer checks none';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION governance_spot_check_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text;
    until timestamptz;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.verb <> '' OR NEW.followed <> '' OR NOT EXISTS (SELECT FROM governance_reviewitem i
                JOIN governance_campaign c ON c.id = i.campaign_id JOIN governance_spotplan p ON p.campaign_id = c.id
                WHERE i.id = NEW.item_id AND c.id = NEW.plan_id AND c.state = 'closing' AND p.drawn_at IS NOT NULL
                AND i.current_decision_id IS NOT NULL) THEN
            PERFORM governance_review_refuses('spot checks are drawn from what was answered, when a review ends');
        END IF;
    ELSIF OLD.verb = '' AND NEW.verb <> '' THEN
        SELECT p.due_at INTO until FROM governance_spotplan p WHERE p.campaign_id = NEW.plan_id;
        IF NEW.followed <> '' OR NEW.answered_at >= until OR to_jsonb(NEW) - 'verb' - 'reason_code' - 'comment' - 'answered_at'
                IS DISTINCT FROM to_jsonb(OLD) - 'verb' - 'reason_code' - 'comment' - 'answered_at' THEN
            PERFORM governance_review_refuses('a spot check is answered as it was asked, before it is due');
        END IF;
        PERFORM governance_talk_is_open(NEW.item_id);
    ELSE
        IF OLD.followed <> '' OR to_jsonb(NEW) - 'followed' - 'followed_by_id' - 'followed_at' - 'followed_because'
                IS DISTINCT FROM to_jsonb(OLD) - 'followed' - 'followed_by_id' - 'followed_at' - 'followed_because'
                OR NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.plan_id AND c.owner_id = NEW.followed_by_id) THEN
            PERFORM governance_review_refuses('a spot check is answered once, and followed up once by who runs the review');
        END IF;
        RETURN NEW;
    END IF;
    why := CASE WHEN NEW.checker_id IS NOT NULL THEN governance_spot_conflict(NEW.item_id, NEW.checker_id) END;
    IF why IS NOT NULL THEN
        PERFORM governance_review_refuses(why);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_spot_check_is_asked_and_answered_by_the_rules BEFORE INSERT OR UPDATE ON governance_spotcheck
FOR EACH ROW EXECUTE FUNCTION governance_spot_check_is_allowed();
CREATE TRIGGER a_spot_check_is_never_deleted BEFORE DELETE ON governance_spotcheck
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
"""
UNDO = """
DROP TRIGGER a_spot_check_is_never_deleted ON governance_spotcheck;
DROP TRIGGER a_spot_check_is_asked_and_answered_by_the_rules ON governance_spotcheck;
DROP TRIGGER a_plan_of_spot_checks_is_never_deleted ON governance_spotplan;
DROP TRIGGER spot_checks_are_planned_by_the_rules ON governance_spotplan;
DROP FUNCTION governance_spot_check_is_allowed(), governance_spot_plan_is_allowed(), governance_spot_conflict(uuid, bigint);
"""


def _person(**more: object) -> models.ForeignKey:
    kept = {"on_delete": django.db.models.deletion.PROTECT, "related_name": "+", "to": settings.AUTH_USER_MODEL}
    return models.ForeignKey(**{**kept, **more})


_PLAN = [
    (
        "campaign",
        models.OneToOneField(
            on_delete=django.db.models.deletion.PROTECT,
            primary_key=True,
            related_name="spot_plan",
            serialize=False,
            to="governance.campaign",
        ),
    ),
    ("share", models.PositiveSmallIntegerField(default=10)),
    ("days", models.PositiveSmallIntegerField(default=7)),
    ("seed", models.CharField(max_length=64)),
    ("seed_sha256", models.CharField(max_length=64)),
    ("made_by", _person(db_index=False)),
    ("made_at", models.DateTimeField()),
    ("frame", models.PositiveIntegerField(blank=True, null=True)),
    ("drawn_at", models.DateTimeField(blank=True, null=True)),
    ("due_at", models.DateTimeField(blank=True, null=True)),
]
_CHECK = [
    ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
    (
        "plan",
        models.ForeignKey(
            on_delete=django.db.models.deletion.PROTECT, related_name="checks", to="governance.spotplan"
        ),
    ),
    (
        "item",
        models.OneToOneField(
            on_delete=django.db.models.deletion.PROTECT, related_name="spot_check", to="governance.reviewitem"
        ),
    ),
    ("checker", _person(blank=True, null=True, related_name="spot_checks")),
    ("resolution", models.JSONField(default=dict)),
    ("asked_at", models.DateTimeField()),
    ("verb", models.CharField(blank=True, max_length=16)),
    ("reason_code", models.CharField(blank=True, max_length=32)),
    ("comment", models.CharField(blank=True, max_length=2000)),
    ("answered_at", models.DateTimeField(blank=True, null=True)),
    (
        "followed",
        models.CharField(
            blank=True, choices=[("asked_again", "Asked again"), ("left", "Left as it is")], max_length=16
        ),
    ),
    ("followed_by", _person(blank=True, null=True, db_index=False)),
    ("followed_at", models.DateTimeField(blank=True, null=True)),
    ("followed_because", models.CharField(blank=True, max_length=500)),
]
_CAUSES = [
    ("combination", "Holds what nobody may hold together"),
    ("tool_changed", "A tool it uses changed"),
    ("irreversible_use", "First use of a tool that cannot be undone"),
    ("leaver", "Who answers for it left"),
    ("delegate_left", "Somebody it acts for left"),
    ("dormant", "Nobody uses it"),
    ("by_rule", "Approved by a rule a week ago"),
    ("agent_changed", "The agent itself changed"),
    ("reach_grew", "It can do much more than before"),
    ("denials", "Many calls were denied"),
    ("new_office", "Somebody new answers for it"),
    ("ends_soon", "Access ends soon"),
    ("spot_check", "A spot check would keep less"),
]


class Migration(migrations.Migration):
    """Two tables with their triggers, and one more cause of a small review."""

    dependencies: ClassVar = [
        ("governance", "0053_who_is_asked_last"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.AlterField("reviewtrigger", "kind", models.CharField(choices=_CAUSES, max_length=24)),
        migrations.CreateModel(
            name="SpotPlan",
            fields=_PLAN,
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="spot_checks_have_a_share_and_some_days",
                        condition=Q(share__gte=1, share__lte=100, days__gte=1, days__lte=28)
                        & Q(seed__regex=r"^[0-9a-f]{64}$", seed_sha256__regex=r"^[0-9a-f]{64}$"),
                    ),
                    models.CheckConstraint(
                        name="spot_checks_are_drawn_whole",
                        condition=Q(drawn_at=None, due_at=None, frame=None)
                        | Q(
                            drawn_at__isnull=False,
                            due_at__gt=F("drawn_at"),
                            due_at__lte=F("drawn_at") + timedelta(days=28),
                            frame__isnull=False,
                        ),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SpotCheck",
            fields=_CHECK,
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="a_spot_check_is_answered_whole",
                        condition=Q(verb="", reason_code="", comment="", answered_at=None)
                        | Q(verb="certify", checker__isnull=False, answered_at__isnull=False)
                        | (
                            Q(verb__in=["reduce", "revoke", "abstain"])
                            & Q(checker__isnull=False, answered_at__isnull=False)
                            & ~Q(reason_code="")
                        ),
                    ),
                    models.CheckConstraint(
                        name="what_a_spot_check_found_is_followed_up_with_a_reason",
                        condition=Q(followed="", followed_by=None, followed_at=None, followed_because="")
                        | (
                            Q(followed__in=["asked_again", "left"])
                            & Q(followed_by__isnull=False, followed_at__isnull=False)
                            & Q(verb__in=["reduce", "revoke"])
                            & ~Q(followed_because="")
                        ),
                    ),
                ],
                "indexes": [
                    models.Index(name="spot_checks_to_answer", fields=["checker"], condition=Q(answered_at=None))
                ],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
