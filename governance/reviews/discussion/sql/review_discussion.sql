-- Items are discussed from the beginning of their campaign until its evidence is sealed.
CREATE OR REPLACE FUNCTION governance_talk_is_open(asked uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    -- A shared lock: a sign-off or sealing either waits for this transaction, or is seen by it.
    SELECT c.id, c.state INTO held FROM governance_campaign c JOIN governance_reviewitem i ON i.campaign_id = c.id
    WHERE i.id = asked FOR SHARE OF c;
    IF held.state NOT IN ('active', 'paused', 'closing', 'closed') THEN
        PERFORM governance_review_refuses('an item is talked about once its campaign has begun');
    END IF;
    IF EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = held.id)
    OR EXISTS (SELECT FROM governance_evidencesealing s WHERE s.campaign_id = held.id AND s.refused = '') THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
END $$;
