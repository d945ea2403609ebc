-- Gives a client another secret or other keys, which it asked for with one that works. The one before works on until
-- `p_previous_ends`; there are never three. One call is one transaction, one change and one numbered event.
--
-- In. `p_lock_agent`: the number of the lock on its agent, NULL without one, which is shared; `p_locks`: those on its
--   identifier and on the client, held alone. `p_made`, `p_made_before`: when the credential and the one before it were
--   made that the node judged by. `p_replaces`: whether the new one takes the place of the newest, whose answer was lost:
--   else 'behind' where a person gave that one. `p_secret` or `p_jwks`: the new one. The rest is as in `revoke_tokens_v1`.
-- Out. `outcome`: 'revoked', of the place that it takes. 'behind': the client is not as the node judged it. 'replayed': the
--   client's assertion was used before. The last two change nothing and use no number.
CREATE OR REPLACE FUNCTION rotate_client_credential_v1(
    p_client bigint, p_lock_agent bigint, p_locks bigint[], p_made timestamptz, p_made_before timestamptz,
    p_replaces boolean, p_secret text, p_jwks jsonb, p_at timestamptz, p_previous_ends timestamptz, p_by text,
    p_proof_issuer text, p_proof_jti text, p_proof_until timestamptz, p_producer uuid, p_trace text,
    p_event_uuid uuid, p_event_links text[], p_event_head text, p_event_tail text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    held entitlements_client;
    accepted entitlements_clientcredential;
BEGIN
    outcome := 'revoked';
    code := '';
    IF NOT starts_with(p_event_head, '{"action":"client.credential_rotated",') THEN
        RAISE EXCEPTION 'this function does not record such an event' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_lock_agent IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(p_lock_agent);
    END IF;
    PERFORM pg_advisory_xact_lock(n) FROM unnest(p_locks) WITH ORDINALITY AS t(n, i) ORDER BY i;
    SELECT c.* INTO held FROM entitlements_client c WHERE c.id = p_client AND c.status = 'active' FOR UPDATE;
    IF NOT FOUND OR held.credential_made_at <> p_made OR held.previous_made_at IS DISTINCT FROM p_made_before
       OR (held.auth, p_secret <> '', p_jwks <> '{}') NOT IN
          (('client_secret_basic', true, false), ('private_key_jwt', false, true))
       OR (p_replaces AND NOT EXISTS (
              SELECT FROM entitlements_clientcredential k WHERE k.client_id = held.identifier
                 AND k.agent_id = held.agent_id AND k.state = 'rotated' AND k.answered_at = held.credential_made_at)) THEN
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
    IF held.agent_id IS NOT NULL THEN
        SELECT k.* INTO STRICT accepted FROM entitlements_clientcredential k
         WHERE k.client_id = held.identifier AND k.agent_id = held.agent_id AND k.state IN ('accepted', 'rotated')
           AND k.auth = held.auth AND k.jwks = held.jwks AND k.secret_sha256 = held.secret_sha256
           AND k.redirect_uris = held.redirect_uris AND k.api_scopes = held.api_scopes
         ORDER BY k.answered_at DESC LIMIT 1;
        INSERT INTO entitlements_clientcredential (
            id, agent_id, client_id, purpose, name, auth, jwks, secret_sha256, redirect_uris, api_scopes, state,
            asked_by, askers, reason, asked_at, answer_by, answered_by, answered_at, answer_reason, continues)
        VALUES (gen_random_uuid(), held.agent_id, held.identifier, CASE WHEN p_secret <> '' THEN 'secret' ELSE 'keys' END,
                accepted.name, held.auth, p_jwks, p_secret, held.redirect_uris, held.api_scopes, 'rotated',
                p_by, '[]', '', p_at, p_at, p_by, p_at, '', accepted.id);
    END IF;
    UPDATE entitlements_client c SET secret_sha256 = p_secret, jwks = p_jwks, credential_made_at = p_at
     WHERE c.id = p_client AND p_replaces;
    UPDATE entitlements_client c
       SET previous_secret_sha256 = c.secret_sha256, previous_jwks = c.jwks, previous_made_at = c.credential_made_at,
           previous_ends_at = p_previous_ends, secret_sha256 = p_secret, jwks = p_jwks, credential_made_at = p_at
     WHERE c.id = p_client AND NOT p_replaces;
    INSERT INTO entitlements_change (kind, subject, agent_id, client_id, concerns_all, noted_at)
    VALUES ('client', 'client:' || p_client, held.agent_id, p_client, false, p_at);
    sequence := record_event_v1(p_producer, p_at, 'client.credential_rotated', p_event_uuid, p_event_links, p_trace,
                                p_event_head, p_event_tail);
    moment := clock_timestamp();
END $$;
REVOKE ALL ON FUNCTION rotate_client_credential_v1 FROM PUBLIC;
