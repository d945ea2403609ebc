-- The fallback reviewers of a campaign are at least two people, and fixed when it begins.
CREATE OR REPLACE FUNCTION governance_fallback_is_fit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) ->> 'state' <> 'draft'
            AND (NEW.fallback_group_id, NEW.asks_owner) IS DISTINCT FROM (OLD.fallback_group_id, OLD.asks_owner) THEN
        PERFORM governance_review_refuses('who is asked last is fixed when a campaign begins');
    END IF;
    IF (TG_OP = 'INSERT' OR NEW.fallback_group_id IS DISTINCT FROM OLD.fallback_group_id)
            AND NOT governance_is_asked_last(NEW.fallback_group_id) THEN
        PERFORM governance_review_refuses('a group that is asked last has at least two people who are here');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER who_is_asked_last_is_fit
    BEFORE INSERT OR UPDATE OF fallback_group_id, asks_owner
    ON governance_campaign
    FOR EACH ROW EXECUTE FUNCTION governance_fallback_is_fit();
CREATE OR REPLACE TRIGGER who_is_asked_last_is_fit
    BEFORE INSERT OR UPDATE OF fallback_group_id, asks_owner
    ON governance_campaigntemplate
    FOR EACH ROW EXECUTE FUNCTION governance_fallback_is_fit();
