-- An ephemeral agent always has an end: 24 hours where none is given.
CREATE OR REPLACE FUNCTION entitlements_an_ephemeral_agent_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'ephemeral' AND NEW.ends_at IS NULL THEN
        NEW.ends_at := NEW.created_at + interval '24 hours';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_ephemeral_agent_ends BEFORE INSERT ON entitlements_agent
    FOR EACH ROW EXECUTE FUNCTION entitlements_an_ephemeral_agent_ends();
