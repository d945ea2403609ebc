-- What is staged, or was cancelled meanwhile, is counted once; what is staged anew begins without counts.
CREATE OR REPLACE FUNCTION governance_staged_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_count_campaign(NEW.id);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER what_is_staged_is_counted AFTER UPDATE OF state ON governance_campaign
    FOR EACH ROW WHEN (OLD.state = 'staging' AND NEW.state IN ('staged', 'cancelled'))
    EXECUTE FUNCTION governance_staged_is_counted();
