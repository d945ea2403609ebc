-- A campaign is signed off by a human who was not asked in it, under any of their accounts.
CREATE OR REPLACE FUNCTION governance_pack_is_signed_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[NEW.signed_off_by_id]);
BEGIN
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_assignment a ON a.item_id = i.id
               WHERE i.campaign_id = NEW.campaign_id AND a.reviewer_id = ANY (voices))
    OR EXISTS (SELECT FROM governance_reviewitem i JOIN governance_reviewdecision d ON d.item_id = i.id
               WHERE i.campaign_id = NEW.campaign_id AND d.decided_by_id = ANY (voices)) THEN
        PERFORM governance_review_refuses('who was to answer in a campaign does not sign it off');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER a_pack_is_signed_off_by_somebody_else AFTER INSERT ON governance_evidencepack
    FOR EACH ROW EXECUTE FUNCTION governance_pack_is_signed_by_another();
