"""The change feed gets its order at commit; tool versions and token claims keep their history."""

from typing import ClassVar

from django.db import migrations

FEED = """
CREATE SEQUENCE entitlements_change_order;

-- Runs at COMMIT: the advisory lock is then held until the commit is visible, so sequence order is commit order.
CREATE FUNCTION entitlements_change_gets_its_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

CREATE CONSTRAINT TRIGGER change_gets_its_place_at_commit AFTER INSERT ON entitlements_change
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entitlements_change_gets_its_place();

CREATE FUNCTION entitlements_pinned_definition_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.definition IS DISTINCT FROM OLD.definition OR NEW.sha256 <> OLD.sha256 OR NEW.tool_id <> OLD.tool_id THEN
        RAISE EXCEPTION 'a pinned definition is never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_pinned_definition_is_never_changed BEFORE UPDATE ON entitlements_toolversion
FOR EACH ROW EXECUTE FUNCTION entitlements_pinned_definition_stays();

-- A grant ends once: nothing brings an ended grant back, and its end never moves outwards.
CREATE FUNCTION entitlements_grant_stays_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL AND (NEW.ended_at IS DISTINCT FROM OLD.ended_at OR NEW.state <> OLD.state) THEN
        RAISE EXCEPTION 'an ended grant stays ended' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.expires_at > OLD.expires_at THEN
        RAISE EXCEPTION 'the end of a grant never moves outwards' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_ended_grant_stays_ended BEFORE UPDATE ON entitlements_grant
FOR EACH ROW EXECUTE FUNCTION entitlements_grant_stays_ended();
"""

UNDO = """
DROP TRIGGER an_ended_grant_stays_ended ON entitlements_grant;
DROP FUNCTION entitlements_grant_stays_ended();
DROP TRIGGER a_pinned_definition_is_never_changed ON entitlements_toolversion;
DROP FUNCTION entitlements_pinned_definition_stays();
DROP TRIGGER change_gets_its_place_at_commit ON entitlements_change;
DROP FUNCTION entitlements_change_gets_its_place();
DROP SEQUENCE entitlements_change_order;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(FEED, UNDO)]
