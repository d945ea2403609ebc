-- Why a person must not decide a review item, for every account of theirs; NULL where they may. The last line against
-- self-certification.
CREATE OR REPLACE FUNCTION governance_review_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[who]);
    item governance_reviewitem;
BEGIN
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = who AND p.is_active) THEN
        RETURN 'only an active person decides';
    END IF;
    SELECT i.* INTO item FROM governance_reviewitem i WHERE i.id = asked;
    RETURN '{"their_own": "a person cannot certify what is their own",
             "owns_the_agent": "the technical owner cannot certify for that agent",
             "requested_it": "a person cannot certify what they requested",
             "approved_it_lately": "a person cannot certify what they approved lately",
             "benefits": "a person cannot certify what they benefit from",
             "gave_it_at_their_system": "a system owner certifies what they approved only with a second person"}'::jsonb
        ->> governance_conflict(voices, jsonb_build_object(
        'their_own', ARRAY[item.holder_id],
        'owns_the_agent', ARRAY(
            SELECT a.owner_id FROM entitlements_agent a WHERE a.id = item.agent_id
            UNION SELECT o.id FROM governance_populationrow p
              JOIN entitlements_person o ON o.login = p.payload::jsonb ->> 'owner' AND o.id = ANY (voices)
             WHERE p.item_id = asked AND (p.grant_id IS NOT NULL OR item.subject_kind = 'agent')),
        'requested_it', ARRAY(
            SELECT unnest(ARRAY[r.requested_by_id, CASE WHEN r.requested_as LIKE 'agent:%' THEN r.owner_then_id END])
              FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
              JOIN governance_accessrequest r ON r.id = g.request_id WHERE p.item_id = asked),
        'approved_it_lately', ARRAY(
            SELECT unnest(ARRAY[v.by_id, v.in_place_of_id]) FROM governance_populationrow p
              JOIN entitlements_grant g ON g.id = p.grant_id JOIN governance_approval v ON v.request_id = g.request_id
             WHERE p.item_id = asked AND item.risk IN ('high', 'critical') AND v.answer = 'approved'
               AND v.answered_at > now() - interval '90 days'),
        'benefits', ARRAY(
            SELECT x.id FROM governance_populationrow p JOIN entitlements_grantsubject s ON s.grant_id = p.grant_id
              LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
              JOIN unnest(voices) AS x (id) ON x.id IN (s.person_id, m.person_id) WHERE p.item_id = asked),
        'gave_it_at_their_system', ARRAY(
            SELECT answered.id FROM entitlements_system y
              JOIN governance_populationrow p ON p.item_id = asked JOIN entitlements_grant g ON g.id = p.grant_id
              JOIN governance_accessrequest r ON r.id = g.request_id JOIN entitlements_agent a ON a.id = r.agent_id
              JOIN governance_approval v ON v.request_id = r.id
             CROSS JOIN LATERAL (VALUES (v.by_id), (v.in_place_of_id)) AS answered (id)
             WHERE y.id = item.system_id AND y.owner_id = ANY (voices)
               AND governance_item_stages(item.holder_first, item.risk, item.campaign_id) = 1 AND v.answer = 'approved'
               AND (v.stage <> 'sponsor' OR answered.id <> coalesce(r.sponsor_then_id, a.sponsor_id)))),
        -- The holder is asked first about their own; their keeping it only asks the next.
        CASE WHEN item.holder_first AND EXISTS (SELECT FROM governance_assignment a
                  WHERE a.item_id = asked AND a.stage = 1 AND a.state = 'assigned') THEN item.holder_id END);
END $$;
