-- Raises the one error by which the rules of reviews refuse a change.
CREATE OR REPLACE FUNCTION governance_review_refuses(message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'integrity_constraint_violation';
END $$;
