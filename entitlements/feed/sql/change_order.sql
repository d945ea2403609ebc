-- The change feed gets its order at COMMIT: the advisory lock is then held until the commit is visible, so that the
-- order of `seq` is the order of commits, and a reader that has seen n has seen everything before it.
CREATE OR REPLACE FUNCTION entitlements_change_gets_its_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
DECLARE place bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7102202611);
    place := nextval('entitlements_change_order');
    UPDATE entitlements_change SET seq = place WHERE id = NEW.id;
    -- One NOTIFY a transaction: readers take every row past their position anyway.
    IF current_setting('mandate.notified', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM set_config('mandate.notified', txid_current()::text, true);
        PERFORM pg_notify('mandate_changes', place::text);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS change_gets_its_place_at_commit ON entitlements_change;
CREATE CONSTRAINT TRIGGER change_gets_its_place_at_commit AFTER INSERT ON entitlements_change
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entitlements_change_gets_its_place();
