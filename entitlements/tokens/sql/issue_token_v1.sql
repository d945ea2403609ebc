-- Writes a token as nodes of the release before know it: not bound to a key, and with no agent behind the one that acts.
-- Dropped with the release after this one. In and out as `issue_token_v2`.
CREATE OR REPLACE FUNCTION issue_token_v1(
    p_action text, p_decided timestamptz, p_position bigint, p_locks bigint[],
    p_agent bigint, p_client bigint, p_system bigint, p_people bigint[], p_groups bigint[], p_tools bigint[],
    p_grants uuid[], p_trusted_issuer bigint, p_identity_link bigint, p_signing_key text,
    p_jti uuid, p_kind text, p_person bigint, p_scope text, p_expires timestamptz, p_drawn uuid[], p_parent uuid,
    p_session uuid, p_sign_in text, p_auth_time timestamptz, p_idle_seconds integer, p_session_expires timestamptz,
    p_proof_issuer text, p_proof_jti text, p_proof_until timestamptz,
    p_claim_issuer text, p_claim_jti text, p_claim_until timestamptz,
    p_authorization_code text, p_opaque_sha256 text, p_opaque_expires timestamptz,
    p_producer uuid, p_trace text,
    p_event_uuid uuid, p_event_links text[], p_event_head text, p_event_tail text,
    p_used_uuid uuid, p_used_links text[], p_used_head text, p_used_tail text,
    p_begun_uuid uuid, p_begun_links text[], p_begun_head text, p_begun_tail text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT outcome, code, session, sequence, moment FROM issue_token_v2(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
        $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45,
        $46, $47, $48, $49, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
$$;
REVOKE ALL ON FUNCTION issue_token_v1 FROM PUBLIC;
