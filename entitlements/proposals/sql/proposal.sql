-- A second account is no second person, a proposal that is over stays as it is, and its terms are those that were proposed.
CREATE OR REPLACE FUNCTION entitlements_second_person_confirms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state <> 'proposed' OR
        (NEW.kind, NEW.subject, NEW.terms, NEW.proposed_as) IS DISTINCT FROM (OLD.kind, OLD.subject, OLD.terms, OLD.proposed_as)
        OR NEW.proposed_by_id IS DISTINCT FROM OLD.proposed_by_id) THEN
        RAISE EXCEPTION 'a proposal keeps its terms, and is answered once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.confirmed_by_id IS NOT NULL AND EXISTS (
        SELECT FROM entitlements_person one JOIN entitlements_person two ON two.id = NEW.confirmed_by_id
         WHERE one.id = NEW.proposed_by_id AND one.email <> ''
           AND entitlements_mailbox(one.email) = entitlements_mailbox(two.email)) THEN
        RAISE EXCEPTION 'a second account of the proposer confirms nothing' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_second_person_confirms_a_proposal BEFORE INSERT OR UPDATE ON entitlements_proposal
    FOR EACH ROW EXECUTE FUNCTION entitlements_second_person_confirms();
