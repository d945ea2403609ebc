"""Who held which office when a request was asked: the last line of defence of promise 6 knows them as well."""

# ruff: noqa: E501 - the SQL is the one of 0002 with two conditions more, and is compared with it

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

OFFICES = ("owner_then", "sponsor_then", "manager_then", "system_owner_then")

# Nobody noted who held the offices when what waits was asked: who holds them now is the best that is known.
KNOWN = """
UPDATE governance_accessrequest r
   SET owner_then_id = a.owner_id, sponsor_then_id = a.sponsor_id, manager_then_id = s.manager_id,
       system_owner_then_id = y.owner_id
  FROM entitlements_agent a, entitlements_person s, entitlements_entitlement e, entitlements_system y
 WHERE r.state = 'in_approval' AND a.id = r.agent_id AND s.id = a.sponsor_id AND e.id = r.entitlement_id
   AND y.id = e.system_id;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

FUNCTION = """
CREATE OR REPLACE FUNCTION governance_answer_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.answer IN ('approved', 'denied') THEN
        IF EXISTS (SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.requested_by_id = NEW.by_id) THEN
            RAISE EXCEPTION 'nobody approves what they requested' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN entitlements_agent a ON a.id = r.agent_id
                   WHERE r.id = NEW.request_id AND %(owners)s) THEN
            RAISE EXCEPTION 'the technical owner never approves for that agent' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest_people p WHERE p.accessrequest_id = NEW.request_id AND p.person_id = NEW.by_id)
        OR EXISTS (SELECT 1 FROM governance_accessrequest_groups g JOIN entitlements_membership m ON m.group_id = g.group_id
                   WHERE g.accessrequest_id = NEW.request_id AND m.person_id = NEW.by_id) THEN
            RAISE EXCEPTION 'nobody approves what they benefit from' USING ERRCODE = 'integrity_constraint_violation';
        END IF;%(newcomers)s
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.answer <> 'waiting' AND NEW.answer <> OLD.answer THEN
        RAISE EXCEPTION 'an answer is given once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""

NEWCOMERS = """
        IF EXISTS (SELECT 1 FROM governance_accessrequest r
                   JOIN entitlements_agent a ON a.id = r.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
                   JOIN entitlements_entitlement e ON e.id = r.entitlement_id
                   JOIN entitlements_system y ON y.id = e.system_id
                   WHERE r.id = NEW.request_id AND r.sponsor_then_id IS NOT NULL
                     AND NEW.by_id IN (a.sponsor_id, y.owner_id, CASE WHEN a.kind = 'personal' THEN s.manager_id END)
                     AND NEW.by_id IS DISTINCT FROM r.sponsor_then_id AND NEW.by_id IS DISTINCT FROM r.manager_then_id
                     AND NEW.by_id IS DISTINCT FROM r.system_owner_then_id) THEN
            RAISE EXCEPTION 'nobody answers who came to their office after the ask' USING ERRCODE = 'integrity_constraint_violation';
        END IF;"""

DO = FUNCTION % {"owners": "NEW.by_id IN (a.owner_id, r.owner_then_id)", "newcomers": NEWCOMERS}
UNDO = FUNCTION % {"owners": "a.owner_id = NEW.by_id", "newcomers": ""}


class Migration(migrations.Migration):
    """Four offices on each request, and the trigger that reads them."""

    dependencies: ClassVar = [
        ("governance", "0006_what_a_setup_test_said"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        *(
            migrations.AddField(
                model_name="accessrequest",
                name=name,
                field=models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            )
            for name in OFFICES
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
        migrations.RunSQL(DO, UNDO),
    ]
