-- An appeal is answered by other people than those who answered the request.
CREATE OR REPLACE FUNCTION governance_appeal_is_answered_by_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN governance_approval p ON p.request_id = r.appeals_id
                WHERE r.id = NEW.request_id AND (p.by_id = ANY (governance_accounts_of(ARRAY[NEW.by_id, NEW.in_place_of_id])) OR p.in_place_of_id = ANY (governance_accounts_of(ARRAY[NEW.by_id, NEW.in_place_of_id])))) THEN
        RAISE EXCEPTION 'a person cannot answer the appeal of a request that they answered' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_appeal_is_answered_by_others BEFORE INSERT OR UPDATE ON governance_approval
    FOR EACH ROW WHEN (NEW.by_id IS NOT NULL) EXECUTE FUNCTION governance_appeal_is_answered_by_others();
