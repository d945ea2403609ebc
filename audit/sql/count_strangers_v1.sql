-- Adds to the failures of one kind from one source in one minute, for roles that may write no table: a job makes one
-- event of them. What is counted twice after a lost connection is a number that is too high, never a failure unseen.
CREATE OR REPLACE FUNCTION count_strangers_v1(p_minute timestamptz, p_kind text, p_source text, p_count bigint)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_count IS NULL OR p_count < 1 OR length(p_source) > 100 OR length(p_kind) > 100 THEN
        RAISE EXCEPTION 'not a count of strangers' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO stranger_counts AS s (minute, kind, source, count) VALUES (p_minute, p_kind, p_source, p_count)
    ON CONFLICT (minute, kind, source) DO UPDATE SET count = s.count + EXCLUDED.count;
END $$;
REVOKE ALL ON FUNCTION count_strangers_v1 FROM PUBLIC;
