"""Who answers in whose place. The last line of defence of promise 6 asks for both of them."""

# ruff: noqa: E501 - the SQL is the one of 0007 with a second person, and is compared with it

import datetime as dt
import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

FUNCTION = """
CREATE OR REPLACE FUNCTION governance_answer_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.answer IN ('approved', 'denied') THEN
        IF EXISTS (SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.requested_by_id IN (%(voices)s)) THEN
            RAISE EXCEPTION 'nobody approves what they requested' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN entitlements_agent a ON a.id = r.agent_id
                   WHERE r.id = NEW.request_id AND (a.owner_id IN (%(voices)s) OR r.owner_then_id IN (%(voices)s))) THEN
            RAISE EXCEPTION 'the technical owner never approves for that agent' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest_people p WHERE p.accessrequest_id = NEW.request_id AND p.person_id IN (%(voices)s))
        OR EXISTS (SELECT 1 FROM governance_accessrequest_groups g JOIN entitlements_membership m ON m.group_id = g.group_id
                   WHERE g.accessrequest_id = NEW.request_id AND m.person_id IN (%(voices)s)) THEN
            RAISE EXCEPTION 'nobody approves what they benefit from' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r
                   JOIN entitlements_agent a ON a.id = r.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
                   JOIN entitlements_entitlement e ON e.id = r.entitlement_id
                   JOIN entitlements_system y ON y.id = e.system_id
                   JOIN entitlements_person v ON v.id IN (%(voices)s)
                   WHERE r.id = NEW.request_id AND r.sponsor_then_id IS NOT NULL
                     AND v.id IN (a.sponsor_id, y.owner_id, CASE WHEN a.kind = 'personal' THEN s.manager_id END)
                     AND v.id IS DISTINCT FROM r.sponsor_then_id AND v.id IS DISTINCT FROM r.manager_then_id
                     AND v.id IS DISTINCT FROM r.system_owner_then_id) THEN
            RAISE EXCEPTION 'nobody answers who came to their office after the ask' USING ERRCODE = 'integrity_constraint_violation';
        END IF;%(places)s
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.answer <> 'waiting' AND NEW.answer <> OLD.answer THEN
        RAISE EXCEPTION 'an answer is given once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""

PLACES = """
        IF NEW.in_place_of_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM governance_delegation d WHERE d.delegator_id = NEW.in_place_of_id AND d.delegate_id = NEW.by_id
               AND d.starts_at <= NEW.answered_at AND d.ends_at > NEW.answered_at
               AND (d.ended_at IS NULL OR d.ended_at > NEW.answered_at)) THEN
            RAISE EXCEPTION 'nobody answers in a place that was not left to them' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_approval p WHERE p.request_id = NEW.request_id AND p.id <> NEW.id
                    AND (p.by_id IN (NEW.by_id, NEW.in_place_of_id) OR p.in_place_of_id IN (NEW.by_id, NEW.in_place_of_id))) THEN
            RAISE EXCEPTION 'nobody answers a request twice, nor do two in one place' USING ERRCODE = 'integrity_constraint_violation';
        END IF;"""

DO = FUNCTION % {"voices": "NEW.by_id, NEW.in_place_of_id", "places": PLACES}
UNDO = FUNCTION % {"voices": "NEW.by_id", "places": ""}

DELEGATIONS = """
CREATE FUNCTION governance_delegation_is_plain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (OLD.ended_at IS NOT NULL OR
       (NEW.delegator_id, NEW.delegate_id, NEW.starts_at, NEW.ends_at, NEW.made_at, NEW.reason)
         IS DISTINCT FROM (OLD.delegator_id, OLD.delegate_id, OLD.starts_at, OLD.ends_at, OLD.made_at, OLD.reason))) THEN
        RAISE EXCEPTION 'a delegation is ended once, and is otherwise left as it was made' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT 1 FROM governance_delegation d WHERE d.delegator_id = NEW.delegator_id AND d.ended_at IS NULL
                    AND d.starts_at < NEW.ends_at AND NEW.starts_at < d.ends_at) THEN
            RAISE EXCEPTION 'one at a time answers in the place of a person' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (
            WITH RECURSIVE chain (person, since, until) AS (
                SELECT NEW.delegate_id, NEW.starts_at, NEW.ends_at
                UNION ALL
                SELECT d.delegate_id, greatest(d.starts_at, c.since), least(d.ends_at, c.until)
                  FROM chain c JOIN governance_delegation d ON d.delegator_id = c.person AND d.ended_at IS NULL
                   AND d.starts_at < c.until AND c.since < d.ends_at
                 WHERE c.person <> NEW.delegator_id
            ) SELECT 1 FROM chain WHERE person = NEW.delegator_id) THEN
            RAISE EXCEPTION 'delegations make no ring' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_delegation_makes_no_ring_and_is_kept BEFORE INSERT OR UPDATE OR DELETE ON governance_delegation
FOR EACH ROW EXECUTE FUNCTION governance_delegation_is_plain();
"""

UNDO_DELEGATIONS = """
DROP TRIGGER a_delegation_makes_no_ring_and_is_kept ON governance_delegation;
DROP FUNCTION governance_delegation_is_plain();
"""


def _person(related_name: str) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to=settings.AUTH_USER_MODEL
    )


class Migration(migrations.Migration):
    """Delegations, in whose place an answer was given, and the triggers that read them."""

    dependencies: ClassVar = [
        ("governance", "0013_notices_and_their_mail"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=500)),
                ("made_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("delegate", _person("delegations_held")),
                ("delegator", _person("delegations_given")),
            ],
            options={
                "indexes": [models.Index(fields=["-made_at", "-id"], name="delegation_page")],
                "constraints": [
                    models.CheckConstraint(condition=~Q(delegator=F("delegate")), name="nobody_is_their_own_delegate"),
                    models.CheckConstraint(
                        condition=Q(ends_at__gt=F("starts_at"), ends_at__lte=F("starts_at") + dt.timedelta(days=90)),
                        name="a_delegation_lasts_some_time_and_at_most_ninety_days",
                    ),
                    models.CheckConstraint(condition=~Q(reason=""), name="a_delegation_says_why"),
                ],
            },
        ),
        migrations.AddField(
            model_name="approval",
            name="in_place_of",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunSQL(DELEGATIONS, UNDO_DELEGATIONS),
        migrations.RunSQL(DO, UNDO),
    ]
