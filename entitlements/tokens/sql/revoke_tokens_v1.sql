-- Ends tokens at their client's request (RFC 7009): one call is one transaction, a change for each token and one numbered
-- event. Call it as one statement, in autocommit.
--
-- In. `p_named`: the token that the client named, `p_living`: those that live of it and of what was issued for it. What
--   further agents got for these by delegation ends with them, also what is being redeemed at this moment; or `p_opaque`: an access token of the code flow. `p_lock`: the number of the lock on the
--   named token. The rest is as in `issue_token_v3`.
-- Out. `outcome`: 'revoked'. 'behind': other tokens live by now: read anew. 'replayed': the client's assertion was used
--   before. The last two change nothing and use no number.
CREATE OR REPLACE FUNCTION revoke_tokens_v1(
    p_named uuid, p_living uuid[], p_opaque bigint, p_client bigint, p_lock bigint, p_at timestamptz, p_reason text,
    p_proof_issuer text, p_proof_jti text, p_proof_until timestamptz, p_producer uuid, p_trace text,
    p_event_uuid uuid, p_event_links text[], p_event_head text, p_event_tail text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    living uuid[];
    held uuid[] := '{}';
    named_all boolean;
BEGIN
    outcome := 'revoked';
    code := '';
    IF NOT starts_with(p_event_head, '{"action":"token.revoked",') THEN
        RAISE EXCEPTION 'this function does not record such an event' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_named IS NOT NULL THEN  -- a redemption under way is waited for
        PERFORM pg_advisory_xact_lock(p_lock);
        LOOP
            WITH RECURSIVE descending AS (
                SELECT t.jti, t.parent, t.revoked_at FROM entitlements_issuedtoken t
                 WHERE t.jti = p_named AND t.client_id = p_client
                UNION SELECT t.jti, t.parent, t.revoked_at FROM entitlements_issuedtoken t
                        JOIN descending d ON t.parent = d.jti)
            SELECT array_agg(d.jti ORDER BY d.jti) FILTER (WHERE d.revoked_at IS NULL),
                   coalesce(bool_and(d.jti = ANY(p_living)) FILTER (
                       WHERE d.revoked_at IS NULL AND (d.jti = p_named OR d.parent = p_named)), true)
              INTO living, named_all FROM descending d;
            EXIT WHEN living IS NULL OR living <@ held;
            PERFORM FROM entitlements_issuedtoken t WHERE t.jti = ANY(living) ORDER BY t.jti FOR UPDATE;
            held := living;  -- nothing more is issued for these; what was being issued is found in the next round
        END LOOP;
        IF NOT named_all OR (p_living <@ living) IS NOT TRUE THEN
            outcome := 'behind';
            RETURN;
        END IF;
    END IF;
    IF p_proof_jti IS NOT NULL THEN
        INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
        VALUES (p_proof_issuer, p_proof_jti, p_proof_until) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'replayed';
            RETURN;
        END IF;
    END IF;
    IF p_named IS NOT NULL THEN
        UPDATE entitlements_issuedtoken t SET revoked_at = p_at, revoke_reason = p_reason WHERE t.jti = ANY(living);
        INSERT INTO entitlements_change (kind, subject, agent_id, token_id, concerns_all, noted_at)
        SELECT 'token', 'token:' || t.jti, t.agent_id, t.jti, false, p_at
        FROM entitlements_issuedtoken t WHERE t.jti = ANY(living);
    ELSE
        UPDATE entitlements_oauthaccesstoken t SET expires = p_at, updated = p_at
         WHERE t.id = p_opaque AND t.application_id = p_client;
    END IF;
    sequence := record_event_v1(p_producer, p_at, 'token.revoked', p_event_uuid, p_event_links, p_trace, p_event_head,
                                p_event_tail);
    moment := clock_timestamp();
END $$;
REVOKE ALL ON FUNCTION revoke_tokens_v1 FROM PUBLIC;
