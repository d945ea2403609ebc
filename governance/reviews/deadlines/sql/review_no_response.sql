-- What the deadline did to access stays stored; a second, independent person restores it while there is time.
CREATE OR REPLACE FUNCTION governance_no_answer_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.item_id, NEW.did, NEW.at, NEW.grants, NEW.calls_a_day, NEW.revoke_at)
            IS DISTINCT FROM (OLD.item_id, OLD.did, OLD.at, OLD.grants, OLD.calls_a_day, OLD.revoke_at)
            OR OLD.restored_at IS NOT NULL OR OLD.revoked_at IS NOT NULL THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    IF NEW.restored_at IS NOT NULL AND (NEW.restored_at >= OLD.revoke_at
            OR governance_review_conflict(NEW.item_id, NEW.restored_by_id) IS NOT NULL
            OR EXISTS (SELECT FROM governance_assignment a WHERE a.item_id = NEW.item_id AND a.reviewer_id = NEW.restored_by_id)) THEN
        PERFORM governance_review_refuses('a second person restores, while there is time');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER what_the_deadline_did_stays BEFORE UPDATE OR DELETE ON governance_noanswer
    FOR EACH ROW EXECUTE FUNCTION governance_no_answer_stays();
