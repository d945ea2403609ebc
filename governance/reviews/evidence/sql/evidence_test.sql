-- An auditor tests, and is shown, evidence of campaigns that are closed.
CREATE OR REPLACE FUNCTION governance_audit_is_of_what_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.campaign_id AND c.state = 'closed') THEN
        PERFORM governance_review_refuses('evidence is tested once its campaign is closed');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_sample_is_of_what_is_closed BEFORE INSERT ON governance_auditsample
    FOR EACH ROW EXECUTE FUNCTION governance_audit_is_of_what_is_closed();
CREATE OR REPLACE TRIGGER what_is_closed_is_shared BEFORE INSERT ON governance_evidenceshare
    FOR EACH ROW EXECUTE FUNCTION governance_audit_is_of_what_is_closed();
