-- The strategies of a campaign are known ones, and fixed when it begins.
CREATE OR REPLACE FUNCTION governance_strategies_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state <> 'draft' AND NEW.strategies <> OLD.strategies THEN
        PERFORM governance_review_refuses('who answers and what their answers come to is fixed when a campaign begins');
    END IF;
    IF jsonb_typeof(NEW.strategies) <> 'object' OR EXISTS (SELECT FROM jsonb_each_text(NEW.strategies) s
            WHERE s.key NOT IN ('low', 'medium', 'high', 'critical')
               OR s.value NOT IN ('first_decides', 'any_deny_denies', 'all_must_keep')) THEN
        PERFORM governance_review_refuses('a strategy is one that is known');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER the_strategies_of_a_campaign_stay
    BEFORE INSERT OR UPDATE OF strategies
    ON governance_campaign
    FOR EACH ROW EXECUTE FUNCTION governance_strategies_stay();
