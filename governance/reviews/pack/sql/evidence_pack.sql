-- Evidence is sealed once its campaign is closed, each removal is proven or excepted and it adds up.
CREATE OR REPLACE FUNCTION governance_pack_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.campaign_id AND c.state = 'closed') THEN
        PERFORM governance_review_refuses('evidence is sealed once the campaign is closed');
    END IF;
    IF EXISTS (SELECT FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
               JOIN governance_reviewitem i ON i.id = d.item_id
               WHERE i.campaign_id = NEW.campaign_id AND r.state NOT IN ('verified', 'excepted', 'withdrawn')) THEN
        PERFORM governance_review_refuses('evidence is sealed once every removal is proven or excepted');
    END IF;
    IF EXISTS (SELECT FROM governance_assignment a JOIN governance_reviewitem i ON i.id = a.item_id
               WHERE i.campaign_id = NEW.campaign_id AND a.reviewer_id = NEW.signed_off_by_id) THEN
        PERFORM governance_review_refuses('who was to answer in a campaign does not sign it off');
    END IF;
    IF EXISTS (SELECT FROM jsonb_each_text(NEW.tie_out) AS t(name, difference) WHERE difference <> '0') THEN
        PERFORM governance_review_refuses('evidence is sealed once it adds up');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_pack_is_sealed_by_the_rules BEFORE INSERT ON governance_evidencepack
    FOR EACH ROW EXECUTE FUNCTION governance_pack_is_allowed();
