-- No self-approval: not by requester, beneficiary or technical owner, now or when it was asked, nor by a second account
-- or a delegate of theirs, nor by a person who came to an office or a group after the request. An answer is given once.
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

CREATE OR REPLACE TRIGGER an_answer_is_independent_and_given_once BEFORE INSERT OR UPDATE ON governance_approval
    FOR EACH ROW EXECUTE FUNCTION governance_answer_is_independent();
