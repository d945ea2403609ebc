-- Why a person must not decide a review item, for every account of theirs; NULL where they may. The last line against
-- self-certification: `governance/conflicts_of_interest/rules.py` has the same rule.
CREATE OR REPLACE FUNCTION governance_review_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    own record;
    voices bigint[] := governance_accounts_of(ARRAY[who]);
BEGIN
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = who AND p.is_active) THEN
        RETURN 'only an active person decides';
    END IF;
    SELECT i.holder_first INTO own FROM governance_reviewitem i WHERE i.id = asked AND i.holder_id = ANY (voices);
    IF FOUND AND own.holder_first AND EXISTS (SELECT FROM governance_assignment a
            WHERE a.item_id = asked AND a.stage = 1 AND a.state = 'assigned') THEN
        RETURN NULL; -- she is asked first; her keeping it only asks the next
    END IF;
    IF FOUND THEN
        RETURN 'nobody certifies what is their own';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN entitlements_agent a ON a.id = i.agent_id
               WHERE i.id = asked AND a.owner_id = ANY (voices))
    OR EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_person o ON o.login = p.payload::jsonb ->> 'owner'
               WHERE p.item_id = asked AND (p.grant_id IS NOT NULL
                   OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.id = asked AND i.subject_kind = 'agent')) AND o.id = ANY (voices)) THEN
        RETURN 'the technical owner never certifies for that agent';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id
               WHERE p.item_id = asked AND (r.requested_by_id = ANY (voices)
                  OR r.requested_as LIKE 'agent:%' AND r.owner_then_id = ANY (voices))) THEN
        RETURN 'nobody certifies what they requested';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_populationrow p ON p.item_id = i.id
               JOIN entitlements_grant g ON g.id = p.grant_id JOIN governance_approval v ON v.request_id = g.request_id
               WHERE i.id = asked AND i.risk IN ('high', 'critical') AND v.answer = 'approved'
                 AND (v.by_id = ANY (voices) OR v.in_place_of_id = ANY (voices)) AND v.answered_at > now() - interval '90 days') THEN
        RETURN 'nobody certifies what they approved lately';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grantsubject s ON s.grant_id = p.grant_id
               LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
               WHERE p.item_id = asked AND (s.person_id = ANY (voices) OR m.person_id = ANY (voices))) THEN
        RETURN 'nobody certifies what they benefit from';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN entitlements_system y ON y.id = i.system_id
               JOIN governance_populationrow p ON p.item_id = i.id JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id JOIN entitlements_agent a ON a.id = r.agent_id
               JOIN governance_approval v ON v.request_id = r.id
               CROSS JOIN LATERAL (VALUES (v.by_id), (v.in_place_of_id)) AS said (id)
               WHERE i.id = asked AND y.owner_id = ANY (voices)
                 AND governance_item_stages(i.holder_first, i.risk, i.campaign_id) = 1
                 AND v.answer = 'approved' AND said.id = ANY (voices)
                 AND (v.stage <> 'sponsor' OR said.id <> coalesce(r.sponsor_then_id, a.sponsor_id))) THEN
        RETURN 'who owns a system certifies what they gave only with a second person';
    END IF;
    RETURN NULL;
END $$;
