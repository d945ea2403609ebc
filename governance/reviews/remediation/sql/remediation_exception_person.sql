-- The second person who excepts a removal is another human, not another account of the reviewer.
CREATE OR REPLACE FUNCTION governance_exception_is_a_second_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.id = NEW.remediation_id
                 AND NEW.by_id = ANY (governance_accounts_of(ARRAY[d.decided_by_id, a.reviewer_id]))) THEN
        PERFORM governance_review_refuses('a second person excepts a removal');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER an_exception_is_made_by_a_second_person AFTER INSERT ON governance_removalexception
    FOR EACH ROW EXECUTE FUNCTION governance_exception_is_a_second_persons();
