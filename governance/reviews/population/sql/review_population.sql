-- The population of a campaign is taken before it begins, so that nothing is added to it or hidden from it later.
CREATE OR REPLACE FUNCTION governance_population_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT campaign_id FROM added) a JOIN governance_campaign c ON c.id = a.campaign_id
               WHERE c.state NOT IN ('draft', 'staging')) THEN
        PERFORM governance_review_refuses('the population of a campaign is taken before it begins');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER rows_are_taken_before_the_campaign_begins AFTER INSERT ON governance_populationrow
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_population_is_frozen();
CREATE OR REPLACE TRIGGER items_are_taken_before_the_campaign_begins AFTER INSERT ON governance_reviewitem
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_population_is_frozen();
