-- Ends a token family with every token of it: at its client's request (RFC 7009), or because a refresh token or a code was
-- used again. One call is one transaction, one change and one numbered event. Call it as one statement, in autocommit.
--
-- In. `p_lock`: the number of the lock on the family. `p_action`: the event, 'token_family.revoked' or
--   'token_family.reused'. The rest is as in `revoke_tokens_v1`.
-- Out. `outcome`: 'revoked'. 'behind': it has ended already, or is of another client. 'replayed': the client's assertion
--   was used before. The last two change nothing and use no number.
CREATE OR REPLACE FUNCTION revoke_token_family_v1(
    p_action text, p_family uuid, p_client bigint, p_lock bigint, p_at timestamptz, p_reason text,
    p_proof_issuer text, p_proof_jti text, p_proof_until timestamptz, p_producer uuid, p_trace text,
    p_event_uuid uuid, p_event_links text[], p_event_head text, p_event_tail text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    agent bigint;
BEGIN
    outcome := 'revoked';
    code := '';
    IF p_action NOT IN ('token_family.revoked', 'token_family.reused')
       OR NOT starts_with(p_event_head, '{"action":"' || p_action || '",') THEN
        RAISE EXCEPTION 'this function does not record such an event' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(p_lock);  -- a refresh under way is waited for
    SELECT coalesce(f.agent_id, n.agent_id) INTO agent  -- a sign-in may be older than the agent that acts in it
      FROM entitlements_tokenfamily f LEFT JOIN entitlements_session n ON n.id = f.session_id
     WHERE f.id = p_family AND f.client_id = p_client AND f.ended_at IS NULL;
    IF NOT FOUND THEN
        outcome := 'behind';
        RETURN;
    END IF;
    IF p_proof_jti IS NOT NULL THEN
        INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
        VALUES (p_proof_issuer, p_proof_jti, p_proof_until) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'replayed';
            RETURN;
        END IF;
    END IF;
    UPDATE entitlements_tokenfamily f SET ended_at = p_at, end_reason = p_reason WHERE f.id = p_family;
    PERFORM FROM entitlements_issuedtoken t  -- a redemption under way is waited for, and what it makes is found below
      WHERE t.family = p_family AND t.kind = 'id_jag' AND t.revoked_at IS NULL
        AND t.expires_at > p_at - interval '1 minute' FOR UPDATE;
    UPDATE entitlements_issuedtoken t SET revoked_at = p_at, revoke_reason = p_reason
     WHERE t.family = p_family AND t.revoked_at IS NULL AND t.expires_at > p_at - interval '1 minute';
    UPDATE entitlements_oauthaccesstoken t SET expires = p_at, updated = p_at
     WHERE t.family = p_family AND t.expires > p_at;
    INSERT INTO entitlements_change (kind, subject, agent_id, client_id, token_family_id, concerns_all, noted_at)
    VALUES ('token_family', 'token_family:' || p_family, agent, CASE WHEN agent IS NULL THEN p_client END, p_family, false,
            p_at);
    sequence := record_event_v1(p_producer, p_at, p_action, p_event_uuid, p_event_links, p_trace, p_event_head,
                                p_event_tail);
    moment := clock_timestamp();
END $$;
REVOKE ALL ON FUNCTION revoke_token_family_v1 FROM PUBLIC;
