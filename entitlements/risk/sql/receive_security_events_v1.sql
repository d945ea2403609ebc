-- Takes security event tokens in that the edge has checked: one call is one transaction. Call it as one statement, in
-- autocommit. In: a JSON array of {"issuer", "jti", "claims"}. An issuer that is trusted no more by then, and a token
-- that was taken before, is passed over. Out: how many were new.
CREATE OR REPLACE FUNCTION receive_security_events_v1(p_events text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH taken AS (
        INSERT INTO entitlements_securityevent (issuer_id, jti, claims, received_at, outcome)
        SELECT i.id, e.jti, e.claims, clock_timestamp(), ''
          FROM jsonb_to_recordset(p_events::jsonb) AS e(issuer bigint, jti text, claims jsonb)
          JOIN entitlements_trustedissuer i ON i.id = e.issuer AND i.enabled AND i.sends_signals
        ON CONFLICT (issuer_id, jti) DO NOTHING RETURNING 1)
    SELECT count(*) FROM taken
$$;
REVOKE ALL ON FUNCTION receive_security_events_v1 FROM PUBLIC;
