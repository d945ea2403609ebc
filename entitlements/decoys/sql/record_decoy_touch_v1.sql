-- Records that a decoy credential was presented to an issuer's node: one call is one transaction and one numbered event.
-- It guards that nothing else is recorded so. Call it as one statement, in autocommit.
CREATE OR REPLACE FUNCTION record_decoy_touch_v1(
    p_producer uuid, p_at timestamptz, p_uuid uuid, p_links text[], p_trace text, p_head text, p_tail text
) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT starts_with(p_head, '{"action":"decoy.touched",') THEN
        RAISE EXCEPTION 'only the touch of a decoy is recorded here' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN record_event_v1(p_producer, p_at, 'decoy.touched', p_uuid, p_links, p_trace, p_head, p_tail);
END $$;
REVOKE ALL ON FUNCTION record_decoy_touch_v1 FROM PUBLIC;
