-- No self-approval: not by requester, beneficiary or technical owner, now or when it was asked, nor by a second account
-- or a delegate of theirs, nor by a person who came to an office or a group after the request. An answer is given once.
CREATE OR REPLACE FUNCTION governance_answer_is_independent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[NEW.by_id, NEW.in_place_of_id]);
BEGIN
    IF NEW.answer IN ('approved', 'denied') THEN
        PERFORM governance_refuse_conflict(governance_conflict(voices, jsonb_build_object(
            'requested_it', ARRAY(SELECT r.requested_by_id FROM governance_accessrequest r WHERE r.id = NEW.request_id),
            'owns_the_agent', ARRAY(
                SELECT unnest(ARRAY[a.owner_id, r.owner_then_id]) FROM governance_accessrequest r
                  JOIN entitlements_agent a ON a.id = r.agent_id WHERE r.id = NEW.request_id),
            'benefits', ARRAY(
                SELECT p.person_id FROM governance_accessrequest_people p
                 WHERE p.accessrequest_id = NEW.request_id AND p.person_id = ANY (voices)
                UNION SELECT m.person_id FROM governance_accessrequest_groups g
                  JOIN entitlements_membership m ON m.group_id = g.group_id
                 WHERE g.accessrequest_id = NEW.request_id AND m.person_id = ANY (voices)),
            'came_later', governance_newcomers(NEW.request_id, NEW.stage, NEW.answered_at, voices),
            'answered_another_stage', ARRAY(
                SELECT unnest(ARRAY[p.by_id, p.in_place_of_id]) FROM governance_approval p
                 WHERE p.request_id = NEW.request_id AND p.id <> NEW.id)), NULL),
            '{"requested_it": "a person cannot approve what they requested",
              "owns_the_agent": "the technical owner cannot approve for that agent",
              "benefits": "a person cannot approve what they benefit from",
              "came_later": "a person who came to an office or a group after the request cannot answer it",
              "answered_another_stage": "a person answers a request once, and so do a person and their delegate"}');
        IF NEW.in_place_of_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM governance_delegation d WHERE d.delegator_id = NEW.in_place_of_id AND d.delegate_id = NEW.by_id
               AND d.starts_at <= NEW.answered_at AND d.ends_at > NEW.answered_at
               AND (d.ended_at IS NULL OR d.ended_at > NEW.answered_at)) THEN
            RAISE EXCEPTION 'only an out-of-office delegate answers for another person' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.answer <> 'waiting' AND NEW.answer <> OLD.answer AND NOT (
        OLD.answer = 'approved' AND NEW.answer = 'void' AND NEW.by_id IS NULL AND EXISTS (
            SELECT 1 FROM governance_accessrequest r WHERE r.id = NEW.request_id AND r.state = 'in_approval')) THEN
        RAISE EXCEPTION 'an answer is given once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- Who of these people came to an office of a request, or joined a group that is a stage of it, after it was made.
CREATE OR REPLACE FUNCTION governance_newcomers(request uuid, stage text, moment timestamptz, people bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    WITH held AS (
        SELECT r.*, a.sponsor_id, y.owner_id, CASE WHEN a.kind = 'personal' THEN s.manager_id END AS manager_id
          FROM governance_accessrequest r
          JOIN entitlements_agent a ON a.id = r.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
          JOIN entitlements_entitlement e ON e.id = r.entitlement_id JOIN entitlements_system y ON y.id = e.system_id
         WHERE r.id = $1
    ), stage_groups AS (
        SELECT g.id FROM entitlements_group g WHERE $2 = 'group:' || g.slug OR EXISTS (
            SELECT 1 FROM governance_approval p WHERE p.request_id = $1 AND p.stage = 'group:' || g.slug)
    )
    SELECT array_agg(v.id) FROM held h, unnest($4) AS v (id)
     WHERE h.sponsor_then_id IS NOT NULL AND v.id IN (h.sponsor_id, h.owner_id, h.manager_id)
       AND v.id IS DISTINCT FROM h.sponsor_then_id AND v.id IS DISTINCT FROM h.manager_then_id
       AND v.id IS DISTINCT FROM h.system_owner_then_id
        OR EXISTS (SELECT 1 FROM entitlements_membership m JOIN stage_groups g ON g.id = m.group_id
                    WHERE m.person_id = v.id AND m.created_at > h.asked_at)
       AND NOT EXISTS (SELECT 1 FROM entitlements_roleassignment o WHERE o.person_id = v.id
                          AND o.role = 'security' AND (o.expires_at IS NULL OR o.expires_at > $3))
       AND v.id IS DISTINCT FROM h.sponsor_id AND v.id IS DISTINCT FROM h.owner_id AND v.id IS DISTINCT FROM h.manager_id
       AND NOT EXISTS (SELECT 1 FROM entitlements_membership k JOIN stage_groups g ON g.id = k.group_id
                        WHERE k.person_id = v.id AND (k.created_at IS NULL OR k.created_at <= h.asked_at))
$$;

CREATE OR REPLACE TRIGGER an_answer_is_independent_and_given_once BEFORE INSERT OR UPDATE ON governance_approval
    FOR EACH ROW EXECUTE FUNCTION governance_answer_is_independent();
