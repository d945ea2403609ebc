-- How the rules of reviews refuse: one error for all of them.
CREATE OR REPLACE FUNCTION governance_review_refuses(said text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', said USING ERRCODE = 'integrity_constraint_violation';
END $$;
