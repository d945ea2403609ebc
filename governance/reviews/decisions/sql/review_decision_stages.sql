-- Two stages are answered by two humans, not by two accounts of one; what is no access is removed at once.
CREATE OR REPLACE FUNCTION governance_stages_are_two_people() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[];
BEGIN
    SELECT governance_accounts_of(ARRAY[NEW.decided_by_id, a.reviewer_id]) INTO voices
    FROM governance_assignment a WHERE a.id = NEW.assignment_id;
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.item_id = NEW.item_id AND d.stage <> NEW.stage AND d.verb <> 'abstain'
               AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
               AND (d.decided_by_id = ANY (voices) OR a.reviewer_id = ANY (voices))) THEN
        PERFORM governance_review_refuses('two distinct people answer the two stages');
    END IF;
    IF NEW.effective_at IS NOT NULL AND EXISTS
            (SELECT FROM governance_reviewitem i WHERE i.id = NEW.item_id AND i.subject_kind <> 'access') THEN
        PERFORM governance_review_refuses('what is no access is removed at once');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER two_stages_are_answered_by_two_people AFTER INSERT ON governance_reviewdecision
    FOR EACH ROW EXECUTE FUNCTION governance_stages_are_two_people();
