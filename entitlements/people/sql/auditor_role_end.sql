-- The role of an auditor always has an end: thirty days where none is given.
CREATE OR REPLACE FUNCTION entitlements_an_auditor_for_a_while() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role = 'auditor' AND NEW.expires_at IS NULL THEN
        NEW.expires_at := NEW.created_at + interval '30 days';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_auditor_for_a_while BEFORE INSERT ON entitlements_roleassignment
    FOR EACH ROW EXECUTE FUNCTION entitlements_an_auditor_for_a_while();
