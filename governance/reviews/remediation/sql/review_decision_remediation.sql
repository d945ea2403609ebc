-- A decision that takes access away is committed together with its remediation, or not at all.
CREATE OR REPLACE FUNCTION governance_removal_is_followed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.verb IN ('revoke', 'reduce') OR NEW.valid_until IS NOT NULL)
            AND NOT EXISTS (SELECT FROM governance_remediation r WHERE r.decision_id = NEW.id) THEN
        PERFORM governance_review_refuses('a removal is followed by its remediation');
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS a_removal_is_followed_by_its_remediation ON governance_reviewdecision;
CREATE CONSTRAINT TRIGGER a_removal_is_followed_by_its_remediation AFTER INSERT ON governance_reviewdecision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION governance_removal_is_followed();
