-- Why a person must not make a spot check: a conflict of interest, or they know the answer; NULL where they may.
CREATE OR REPLACE FUNCTION governance_spot_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
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
        RETURN 'a person who approved access does not check that it was kept';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
               WHERE i.id = asked AND c.owner_id = ANY (voices))
    OR EXISTS (SELECT FROM entitlements_roleassignment r WHERE r.person_id = ANY (voices) AND r.role IN ('analyst', 'auditor', 'security')
               AND (r.expires_at IS NULL OR r.expires_at > now())) THEN
        RETURN 'who sees every answer checks none';
    END IF;
    RETURN NULL;
END $$;
