-- A retired agent stays retired, so that no old token or grant comes to life with it.
CREATE OR REPLACE FUNCTION entitlements_retired_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'agent % is retired for good', OLD.slug USING ERRCODE = 'check_violation', CONSTRAINT = 'retired_is_final';
END $$;

CREATE OR REPLACE TRIGGER retired_is_final BEFORE UPDATE ON entitlements_agent
    FOR EACH ROW WHEN (OLD.status = 'retired' AND NEW.status <> 'retired')
    EXECUTE FUNCTION entitlements_retired_is_final();
