-- What is of critical risk is kept with a reason in the reviewer's own words.
CREATE OR REPLACE FUNCTION governance_critical_is_kept_in_writing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.verb = 'certify' AND length(regexp_replace(NEW.comment, '\s', '', 'g')) < 10
            AND EXISTS (SELECT FROM governance_reviewitem i WHERE i.id = NEW.item_id AND i.risk = 'critical') THEN
        PERFORM governance_review_refuses('keeping what is of critical risk needs a written reason');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER what_is_critical_is_kept_in_writing AFTER INSERT ON governance_reviewdecision
    FOR EACH ROW EXECUTE FUNCTION governance_critical_is_kept_in_writing();
