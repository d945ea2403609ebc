-- What a node of the edge says of itself in the change feed, for roles that may write no table. It is as durable as any
-- commit: a node serves until two seconds after it was acknowledged, and a revoker must know of that lease on the server
-- that takes over, or on the one that comes back, too.
CREATE OR REPLACE FUNCTION acknowledge_v1(p_node text, p_started timestamptz, p_position bigint)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE polled timestamptz := clock_timestamp();
BEGIN
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
