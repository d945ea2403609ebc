-- A client's identifier stands in `identifier`. `client_id` is its place of the release before, which knows identifiers of
-- 100 characters at most and goes on during an upgrade: the type of a column that it reads must not change. It is to go
-- with the release after this one.
CREATE OR REPLACE FUNCTION client_identifier() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    NEW.identifier := coalesce(NEW.identifier, NEW.client_id);
    NEW.client_id := CASE WHEN length(NEW.identifier) <= 100 THEN NEW.identifier
                          ELSE 'sha256:' || encode(sha256(convert_to(NEW.identifier, 'UTF8')), 'hex') END;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER a_client_has_its_identifier BEFORE INSERT OR UPDATE OF identifier ON entitlements_client
    FOR EACH ROW EXECUTE FUNCTION client_identifier();
UPDATE entitlements_client SET identifier = client_id WHERE identifier IS NULL;  -- of the release before, until now
