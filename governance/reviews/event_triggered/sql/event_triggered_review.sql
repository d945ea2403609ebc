-- What an event-triggered review asks about cannot change once the review has begun.
CREATE OR REPLACE FUNCTION governance_trigger_keeps_what_was_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'waiting' AND (NEW.kind, NEW.agent_id, NEW.subject, NEW.grants, NEW.facts, NEW.state, NEW.campaign_id, NEW.opened_at)
            IS DISTINCT FROM (OLD.kind, OLD.agent_id, OLD.subject, OLD.grants, OLD.facts, OLD.state, OLD.campaign_id, OLD.opened_at)
            OR NEW.postponed < OLD.postponed THEN
        PERFORM governance_review_refuses('what an event-triggered review asks about cannot change');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_review_trigger_keeps_what_was_asked BEFORE UPDATE ON governance_reviewtrigger
    FOR EACH ROW EXECUTE FUNCTION governance_trigger_keeps_what_was_asked();
