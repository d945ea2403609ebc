-- Makes the partitions of `events` for this month and those ahead (`audit/retention/partitions.py` calls it each day). It runs
-- with its owner's rights, so that the application needs none, with a fixed search path and one number as its only
-- input. A month whose events already lie in the default partition stays there: moving them would be a delete.
-- Attaching, unlike CREATE ... PARTITION OF, does not lock out inserts into other months. A month's own unique index
-- refuses a second end of one call (migration `audit.0001` has it for the default partition).
CREATE OR REPLACE FUNCTION ensure_event_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    begins date;
    name text;
    made integer := 0;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 60 THEN
        RAISE EXCEPTION 'months ahead: 0 to 60, not %', ahead;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_event_months'));
    PERFORM set_config('lock_timeout', '2s', true);
    PERFORM set_config('timezone', 'UTC', true);
    FOR step IN 0..ahead LOOP
        begins := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step))::date;
        name := 'events_' || to_char(begins, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        CONTINUE WHEN EXISTS (SELECT FROM events_default WHERE at >= begins AND at < begins + interval '1 month');
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (uuid) WHERE action IN (''call.finished'', ''call.withdrawn'', ''call.indeterminate'')',
                       'one_end_per_call_' || name, name);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, begins::timestamptz, (begins + interval '1 month')::timestamptz);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only', name);
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION ensure_event_months FROM PUBLIC;

SELECT ensure_event_months(12);
