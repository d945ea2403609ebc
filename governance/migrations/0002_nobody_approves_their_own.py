"""The last line of defence of promise 6 and of a request's history is in the database."""

from typing import ClassVar

from django.db import migrations

DO = """
CREATE FUNCTION governance_answer_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.answer IN ('approved', 'denied') THEN
        IF EXISTS (SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.requested_by_id = NEW.by_id) THEN
            RAISE EXCEPTION 'nobody approves what they requested' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN entitlements_agent a ON a.id = r.agent_id
                   WHERE r.id = NEW.request_id AND a.owner_id = NEW.by_id) THEN
            RAISE EXCEPTION 'the technical owner never approves for that agent' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM governance_accessrequest_people p WHERE p.accessrequest_id = NEW.request_id AND p.person_id = NEW.by_id)
        OR EXISTS (SELECT 1 FROM governance_accessrequest_groups g JOIN entitlements_membership m ON m.group_id = g.group_id
                   WHERE g.accessrequest_id = NEW.request_id AND m.person_id = NEW.by_id) THEN
            RAISE EXCEPTION 'nobody approves what they benefit from' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.answer <> 'waiting' AND NEW.answer <> OLD.answer THEN
        RAISE EXCEPTION 'an answer is given once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_answer_is_independent_and_given_once BEFORE INSERT OR UPDATE ON governance_approval
FOR EACH ROW EXECUTE FUNCTION governance_answer_is_independent();

CREATE FUNCTION governance_request_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'requests are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'in_approval' AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'a decided request stays decided' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_request_is_never_deleted_and_decided_once BEFORE UPDATE OR DELETE ON governance_accessrequest
FOR EACH ROW EXECUTE FUNCTION governance_request_stays();
"""

UNDO = """
DROP TRIGGER a_request_is_never_deleted_and_decided_once ON governance_accessrequest;
DROP FUNCTION governance_request_stays();
DROP TRIGGER an_answer_is_independent_and_given_once ON governance_approval;
DROP FUNCTION governance_answer_is_independent();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("governance", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
