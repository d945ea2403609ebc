-- An out-of-office delegation is ended once and otherwise kept; a person has one delegate at a time, and delegations
-- make no ring in which people answer for themselves.
CREATE OR REPLACE FUNCTION governance_delegation_is_plain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (OLD.ended_at IS NOT NULL OR
       (NEW.delegator_id, NEW.delegate_id, NEW.starts_at, NEW.ends_at, NEW.made_at, NEW.reason)
         IS DISTINCT FROM (OLD.delegator_id, OLD.delegate_id, OLD.starts_at, OLD.ends_at, OLD.made_at, OLD.reason))) THEN
        RAISE EXCEPTION 'a delegation is ended once, and is otherwise left as it was made' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT 1 FROM governance_delegation d WHERE d.delegator_id = NEW.delegator_id AND d.ended_at IS NULL
                    AND d.starts_at < NEW.ends_at AND NEW.starts_at < d.ends_at) THEN
            RAISE EXCEPTION 'one at a time answers in the place of a person' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (
            WITH RECURSIVE chain (person, since, until) AS (
                SELECT NEW.delegate_id, NEW.starts_at, NEW.ends_at
                UNION ALL
                SELECT d.delegate_id, greatest(d.starts_at, c.since), least(d.ends_at, c.until)
                  FROM chain c JOIN governance_delegation d ON d.delegator_id = c.person AND d.ended_at IS NULL
                   AND d.starts_at < c.until AND c.since < d.ends_at
                 WHERE c.person <> NEW.delegator_id
            ) SELECT 1 FROM chain WHERE person = NEW.delegator_id) THEN
            RAISE EXCEPTION 'delegations make no ring' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_delegation_makes_no_ring_and_is_kept
    BEFORE INSERT OR UPDATE OR DELETE
    ON governance_delegation
    FOR EACH ROW EXECUTE FUNCTION governance_delegation_is_plain();
