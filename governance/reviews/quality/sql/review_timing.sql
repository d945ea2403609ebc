-- The times of a campaign are put together before the first of them is forgotten, and not again afterwards.
CREATE OR REPLACE FUNCTION governance_timing_is_put_together_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM governance_timingrun t
               WHERE t.campaign_id = NEW.campaign_id AND t.put_together_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('times are put together before the first is forgotten');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER times_are_put_together_first BEFORE INSERT ON governance_timing
    FOR EACH ROW EXECUTE FUNCTION governance_timing_is_put_together_first();
