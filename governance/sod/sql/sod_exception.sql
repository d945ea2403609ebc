-- An exception from an SoD policy is given by an independent person and ended once, and is never deleted.
CREATE OR REPLACE FUNCTION governance_exception_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'exceptions are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ended_at IS NOT NULL
        OR (NEW.rule_id, NEW.agent_id, NEW.reason, NEW.control, NEW.given_by_id, NEW.given_at, NEW.expires_at)
           IS DISTINCT FROM (OLD.rule_id, OLD.agent_id, OLD.reason, OLD.control, OLD.given_by_id, OLD.given_at, OLD.expires_at) THEN
            RAISE EXCEPTION 'an exception is given once and ended once' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM governance_refuse_conflict(governance_conflict(ARRAY[NEW.given_by_id], jsonb_build_object(
        'owns_the_agent', ARRAY(
            SELECT unnest(ARRAY[a.owner_id, a.sponsor_id]) FROM entitlements_agent a WHERE a.id = NEW.agent_id),
        'requested_it', ARRAY(
            SELECT r.requested_by_id FROM governance_accessrequest r WHERE r.agent_id = NEW.agent_id
               AND (r.state = 'in_approval' OR r.grant_id IN (SELECT id FROM entitlements_grant WHERE ended_at IS NULL))),
        'benefits', ARRAY(
            SELECT NEW.given_by_id WHERE EXISTS (
                SELECT 1 FROM entitlements_grantsubject s JOIN entitlements_grant g ON g.id = s.grant_id
                  LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
                 WHERE g.agent_id = NEW.agent_id AND g.ended_at IS NULL AND NEW.given_by_id IN (s.person_id, m.person_id))
            OR EXISTS (
                SELECT 1 FROM governance_accessrequest r JOIN governance_accessrequest_people p ON p.accessrequest_id = r.id
                 WHERE r.agent_id = NEW.agent_id AND r.state = 'in_approval' AND p.person_id = NEW.given_by_id)
            OR EXISTS (
                SELECT 1 FROM governance_accessrequest r JOIN governance_accessrequest_groups q ON q.accessrequest_id = r.id
                  JOIN entitlements_membership m ON m.group_id = q.group_id
                 WHERE r.agent_id = NEW.agent_id AND r.state = 'in_approval' AND m.person_id = NEW.given_by_id))), NULL),
        '{"owns_the_agent": "a person who owns an agent cannot give it an exception",
          "requested_it": "a person cannot give an exception for what they requested",
          "benefits": "a person cannot give an exception that they benefit from"}');
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_exception_is_independent_and_stays
    BEFORE INSERT OR UPDATE OR DELETE
    ON governance_combinationexception
    FOR EACH ROW EXECUTE FUNCTION governance_exception_is_independent();
