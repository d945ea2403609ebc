"""Promise 6 in the database, for every account of whoever answers, and for whoever joined a stage's group after the ask.

The verbs have known both since the accounts of one person were told by their address of mail; now a faulty verb is
refused too.
"""

# ruff: noqa: E501 - the SQL is read as one piece, and compared with that of 0008 and 0019

from importlib import import_module
from typing import ClassVar

from django.db import migrations

DO = """
CREATE FUNCTION governance_accounts_of(bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT v.id) FROM entitlements_person n
      JOIN entitlements_person v ON v.id = n.id OR (n.email <> '' AND upper(v.email::text) = upper(n.email::text))
     WHERE n.id = ANY ($1)
$$;

CREATE OR REPLACE FUNCTION governance_answer_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[];
BEGIN
    IF NEW.answer IN ('approved', 'denied') THEN
        voices := governance_accounts_of(ARRAY[NEW.by_id, NEW.in_place_of_id]);
        IF EXISTS (SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.requested_by_id = ANY (voices)) THEN
            RAISE EXCEPTION 'nobody approves what they requested' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN entitlements_agent a ON a.id = r.agent_id
                   WHERE r.id = NEW.request_id AND (a.owner_id = ANY (voices) OR r.owner_then_id = ANY (voices))) THEN
            RAISE EXCEPTION 'the technical owner never approves for that agent' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest_people p WHERE p.accessrequest_id = NEW.request_id AND p.person_id = ANY (voices))
        OR EXISTS (SELECT 1 FROM governance_accessrequest_groups g JOIN entitlements_membership m ON m.group_id = g.group_id
                   WHERE g.accessrequest_id = NEW.request_id AND m.person_id = ANY (voices)) THEN
            RAISE EXCEPTION 'nobody approves what they benefit from' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r
                   JOIN entitlements_agent a ON a.id = r.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
                   JOIN entitlements_entitlement e ON e.id = r.entitlement_id
                   JOIN entitlements_system y ON y.id = e.system_id
                   JOIN entitlements_person v ON v.id = ANY (voices)
                   WHERE r.id = NEW.request_id AND r.sponsor_then_id IS NOT NULL
                     AND v.id IN (a.sponsor_id, y.owner_id, CASE WHEN a.kind = 'personal' THEN s.manager_id END)
                     AND v.id IS DISTINCT FROM r.sponsor_then_id AND v.id IS DISTINCT FROM r.manager_then_id
                     AND v.id IS DISTINCT FROM r.system_owner_then_id) THEN
            RAISE EXCEPTION 'nobody answers who came to their office after the ask' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r
                   JOIN entitlements_agent a ON a.id = r.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
                   JOIN entitlements_entitlement e ON e.id = r.entitlement_id
                   JOIN entitlements_system y ON y.id = e.system_id
                   JOIN entitlements_membership m ON m.person_id = ANY (voices) AND m.created_at > r.asked_at
                   JOIN entitlements_group g ON g.id = m.group_id
                   WHERE r.id = NEW.request_id
                     AND (NEW.stage = 'group:' || g.slug OR EXISTS (
                          SELECT 1 FROM governance_approval p WHERE p.request_id = r.id AND p.stage = 'group:' || g.slug))
                     AND NOT EXISTS (SELECT 1 FROM entitlements_roleassignment o WHERE o.person_id = m.person_id
                          AND o.role = 'security' AND (o.expires_at IS NULL OR o.expires_at > NEW.answered_at))
                     AND m.person_id IS DISTINCT FROM a.sponsor_id AND m.person_id IS DISTINCT FROM y.owner_id
                     AND m.person_id IS DISTINCT FROM CASE WHEN a.kind = 'personal' THEN s.manager_id END
                     AND NOT EXISTS (SELECT 1 FROM entitlements_membership k JOIN entitlements_group h ON h.id = k.group_id
                          JOIN governance_approval p ON p.request_id = r.id AND p.stage = 'group:' || h.slug
                          WHERE k.person_id = m.person_id AND (k.created_at IS NULL OR k.created_at <= r.asked_at))) THEN
            RAISE EXCEPTION 'nobody answers who joined the group after the ask' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF NEW.in_place_of_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM governance_delegation d WHERE d.delegator_id = NEW.in_place_of_id AND d.delegate_id = NEW.by_id
               AND d.starts_at <= NEW.answered_at AND d.ends_at > NEW.answered_at
               AND (d.ended_at IS NULL OR d.ended_at > NEW.answered_at)) THEN
            RAISE EXCEPTION 'nobody answers in a place that was not left to them' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_approval p WHERE p.request_id = NEW.request_id AND p.id <> NEW.id
                    AND (p.by_id = ANY (voices) OR p.in_place_of_id = ANY (voices))) THEN
            RAISE EXCEPTION 'nobody answers a request twice, nor do two in one place' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.answer <> 'waiting' AND NEW.answer <> OLD.answer AND NOT (
        OLD.answer = 'approved' AND NEW.answer = 'void' AND NEW.by_id IS NULL AND EXISTS (
            SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.state = 'in_approval')) THEN
        RAISE EXCEPTION 'an answer is given once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
APPEALS = """
CREATE OR REPLACE FUNCTION governance_appeal_is_answered_by_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN governance_approval p ON p.request_id = r.appeals_id
                WHERE r.id = NEW.request_id AND (p.by_id = ANY (%(voices)s) OR p.in_place_of_id = ANY (%(voices)s))) THEN
        RAISE EXCEPTION 'nobody answers the appeal of what they answered' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
_PAIR = "ARRAY[NEW.by_id, NEW.in_place_of_id]"
DO += APPEALS % {"voices": f"governance_accounts_of({_PAIR})"}
_EDITED = import_module("governance.migrations.0019_requests_are_edited_questioned_and_appealed")
UNDO = import_module("governance.migrations.0008_answering_for_another").DO
UNDO += _EDITED.REPLACE % (_EDITED.ONCE, _EDITED.UNLESS_EDITED) + APPEALS % {"voices": _PAIR}
UNDO += "DROP FUNCTION governance_accounts_of(bigint[]);"


class Migration(migrations.Migration):
    """Replace the function that the trigger on answers calls."""

    dependencies: ClassVar = [
        ("entitlements", "0015_since_when_somebody_is_in_a_group"),
        ("governance", "0033_micro_reviews"),
    ]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
