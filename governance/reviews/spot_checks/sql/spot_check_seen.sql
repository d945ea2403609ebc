-- Whether a person can see the answer to an item, as auditor or as delegate of its reviewer.
CREATE OR REPLACE FUNCTION governance_spot_is_seen(asked uuid, who bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[who]);
BEGIN
    RETURN EXISTS (SELECT FROM governance_evidenceshare s JOIN governance_reviewitem i ON i.campaign_id = s.campaign_id
                   WHERE i.id = asked AND s.auditor_id = ANY (voices) AND s.ended_at IS NULL AND s.expires_at > now())
        OR EXISTS (SELECT FROM governance_delegation d JOIN governance_assignment a ON a.reviewer_id = d.delegator_id
                   WHERE a.item_id = asked AND d.delegate_id = ANY (voices) AND d.ended_at IS NULL
                   AND d.starts_at <= now() AND d.ends_at > now());
END $$;
