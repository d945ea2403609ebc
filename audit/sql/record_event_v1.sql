-- Writes one event of a producer under the next of its numbers, and that it is to be sealed. Returns the number. For
-- functions that a node calls with the canonical body in two halves around the number, `p_head` and `p_tail`.
--
-- The producer's row is locked until the commit, so that whichever way a lost call ended, no number is missing or doubled.
CREATE OR REPLACE FUNCTION record_event_v1(
    p_producer uuid, p_at timestamptz, p_action text, p_uuid uuid, p_links text[], p_trace text, p_head text, p_tail text
) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE producers p SET sequence = p.sequence + 1 WHERE p.uuid = p_producer RETURNING p.sequence INTO number;
    IF NOT FOUND THEN
        number := 1;
        INSERT INTO producers (uuid, sequence) VALUES (p_producer, number);
    END IF;
    WITH event AS (
        INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body)
        VALUES (p_at, p_uuid, p_action, p_links, p_trace, p_producer, number, p_head || number || p_tail)
    )
    INSERT INTO pending (at, uuid, producer, sequence) VALUES (p_at, p_uuid, p_producer, number);
    RETURN number;
END $$;
REVOKE ALL ON FUNCTION record_event_v1 FROM PUBLIC;
