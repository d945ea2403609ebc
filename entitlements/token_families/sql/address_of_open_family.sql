-- Forgets where a token family was last used from when the family ends: an address is personal, and shows a person what
-- is connected as them for as long as it is. The audit log says where each of its tokens was fetched from.
CREATE OR REPLACE FUNCTION address_of_open_family() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    NEW.last_used_from := '';
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER address_of_open_family BEFORE UPDATE OF ended_at ON entitlements_tokenfamily
    FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION address_of_open_family();
