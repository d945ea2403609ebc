-- Once the evidence of a campaign is sealed, its items stay as the pack has them.
CREATE OR REPLACE FUNCTION governance_sealed_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    campaign uuid;
BEGIN
    IF TG_TABLE_NAME = 'governance_reviewitem' THEN
        campaign := OLD.campaign_id;
    ELSE
        SELECT i.campaign_id INTO campaign FROM governance_reviewitem i
        WHERE i.id = (to_jsonb(OLD) ->> 'item_id')::uuid;
    END IF;
    IF EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = campaign) THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_sealed_item_stays BEFORE UPDATE ON governance_reviewitem
    FOR EACH ROW EXECUTE FUNCTION governance_sealed_stays();
