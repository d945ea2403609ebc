-- Once the evidence of a campaign is sealed, who was asked stays as the pack has it; how long they looked is forgotten.
CREATE OR REPLACE FUNCTION governance_sealed_assignment_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    forgotten governance_assignment := OLD;
BEGIN
    IF NOT EXISTS (SELECT FROM governance_reviewitem i JOIN governance_evidencepack p ON p.campaign_id = i.campaign_id
                   WHERE i.id = OLD.item_id) THEN
        RETURN NEW;
    END IF;
    forgotten.dwell_ms := 0;
    forgotten.opened_at := date_trunc('day', OLD.opened_at, 'UTC');
    forgotten.evidence_opened_at := date_trunc('day', OLD.evidence_opened_at, 'UTC');
    -- The one exception: how long she looked goes, and of when she looked the day stays, once thirteen months are over.
    IF NEW *= forgotten AND OLD.assigned_at < governance_thirteen_months_before(now())
       AND NOT EXISTS (SELECT FROM governance_reviewdecision d WHERE d.assignment_id = OLD.id
                       AND d.decided_at >= governance_thirteen_months_before(now())) THEN
        RETURN NEW;
    END IF;
    PERFORM governance_review_refuses('what is sealed stays as it is');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER a_sealed_assignment_stays BEFORE UPDATE ON governance_assignment
    FOR EACH ROW EXECUTE FUNCTION governance_sealed_assignment_stays();
