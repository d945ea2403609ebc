-- A decision is never changed or deleted; how long it took is forgotten after thirteen months.
CREATE OR REPLACE FUNCTION governance_decision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    forgotten governance_reviewdecision := OLD;
BEGIN
    forgotten.dwell_ms := NULL;
    -- The one exception: how long it took, and not a byte else, once thirteen months are over.
    IF TG_OP = 'UPDATE' AND OLD.dwell_ms IS NOT NULL AND NEW *= forgotten
       AND OLD.decided_at < governance_thirteen_months_before(now())
       AND EXISTS (SELECT FROM governance_timingrun t JOIN governance_reviewitem i ON i.campaign_id = t.campaign_id
                   WHERE i.id = OLD.item_id AND t.put_together_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER a_decision_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewdecision
    FOR EACH ROW EXECUTE FUNCTION governance_decision_stays();
