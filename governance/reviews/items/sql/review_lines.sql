-- Lines and suggestions of a campaign are taken before it begins, as its items are.
CREATE OR REPLACE FUNCTION governance_lines_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT i.campaign_id FROM added JOIN governance_reviewitem i ON i.id = added.item_id) a
               JOIN governance_campaign c ON c.id = a.campaign_id WHERE c.state NOT IN ('draft', 'staging')) THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER lines_are_taken_before_the_campaign_begins AFTER INSERT ON governance_reviewline
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_lines_are_frozen();
CREATE OR REPLACE TRIGGER suggestions_are_made_before_the_campaign_begins AFTER INSERT ON governance_suggestion
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_lines_are_frozen();
