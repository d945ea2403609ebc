-- What access was before the deadline took it stays stored, so that it can be restored as it was.
CREATE OR REPLACE FUNCTION governance_no_answer_keeps_its_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.before IS DISTINCT FROM OLD.before THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER what_the_deadline_took_stays BEFORE UPDATE ON governance_noanswer
    FOR EACH ROW EXECUTE FUNCTION governance_no_answer_keeps_its_before();
