-- Why a person must not make a spot check: a conflict of interest, or they know the answer; NULL where they may.
CREATE OR REPLACE FUNCTION governance_spot_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[who]);
BEGIN
    RETURN coalesce(governance_review_conflict(asked, who),
        '{"answered_another_stage": "who was asked about an item does not check its answer",
          "approved_it_lately": "a person who approved access does not check that it was kept",
          "sees_the_answer": "who sees every answer checks none"}'::jsonb
        ->> governance_conflict(voices, jsonb_build_object(
        'answered_another_stage', ARRAY(
            SELECT a.reviewer_id FROM governance_assignment a WHERE a.item_id = asked
            UNION SELECT d.decided_by_id FROM governance_reviewdecision d WHERE d.item_id = asked),
        'approved_it_lately', ARRAY(
            SELECT unnest(ARRAY[v.by_id, v.in_place_of_id]) FROM governance_populationrow p
              JOIN entitlements_grant g ON g.id = p.grant_id JOIN governance_approval v ON v.request_id = g.request_id
             WHERE p.item_id = asked AND v.answer = 'approved'),
        'sees_the_answer', ARRAY(
            SELECT c.owner_id FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
             WHERE i.id = asked
            UNION SELECT r.person_id FROM entitlements_roleassignment r WHERE r.person_id = ANY (voices)
               AND r.role IN ('analyst', 'auditor', 'security') AND (r.expires_at IS NULL OR r.expires_at > now()))), NULL));
END $$;
