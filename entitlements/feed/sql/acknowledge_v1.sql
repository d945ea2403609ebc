-- What a node of the edge says of itself in the change feed, for roles that may write no table. An acknowledgement that
-- is lost with the database's memory makes a revoker wait for a lease, so it need not touch the disk; that is set for
-- this transaction alone, because a pooler lends the connection to others afterwards.
CREATE OR REPLACE FUNCTION acknowledge_v1(p_node text, p_started timestamptz, p_position bigint)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE polled timestamptz := clock_timestamp();
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO entitlements_gatewaynode AS n (id, started_at, polled_at, position)
    VALUES (p_node, p_started, polled, p_position)
    ON CONFLICT (id) DO UPDATE SET position = EXCLUDED.position, polled_at = EXCLUDED.polled_at, stopped_at = NULL,
           started_at = EXCLUDED.started_at;
    RETURN polled;
END $$;
REVOKE ALL ON FUNCTION acknowledge_v1 FROM PUBLIC;

CREATE OR REPLACE FUNCTION stop_node_v1(p_node text)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE entitlements_gatewaynode SET stopped_at = clock_timestamp() WHERE id = p_node
$$;
REVOKE ALL ON FUNCTION stop_node_v1 FROM PUBLIC;
