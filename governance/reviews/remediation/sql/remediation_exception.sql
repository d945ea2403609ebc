-- An exception from a removal is made by a second person, is ended once, and is otherwise kept.
CREATE OR REPLACE FUNCTION governance_removal_is_excepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND ((NEW.remediation_id, NEW.by_id, NEW.reason, NEW.control, NEW.made_at, NEW.expires_at)
            IS DISTINCT FROM (OLD.remediation_id, OLD.by_id, OLD.reason, OLD.control, OLD.made_at, OLD.expires_at)
            OR OLD.ended_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
            WHERE d.id = NEW.remediation_id AND NEW.by_id IN (d.decided_by_id, a.reviewer_id)) THEN
        PERFORM governance_review_refuses('a second person excepts a removal');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_exception_is_kept_for_good
    BEFORE INSERT OR UPDATE OR DELETE
    ON governance_removalexception
    FOR EACH ROW EXECUTE FUNCTION governance_removal_is_excepted();
