-- Writes a token of a token family: with the family, where a code begins it, or with its next generation. It guards that
-- one generation has one successor, and that nothing is issued to a family that has ended. A family at the identity side
-- has no system, and its session begins with an ID-JAG.
--
-- In. $1 to $59 are the parameters of `issue_token_v3`, which writes the token. `p_family`: the family. With
--   `p_generation`, the one that was read, it is refreshed; without, it begins. `p_rotates`: whether that generation is
--   replaced. `p_resource`, `p_ceiling`, `p_sign_in`, `p_signed_in_at` and `p_family_expires` are of a new family; how the
--   person signed in stands in its code. `p_from`: the address that the request came from. A family of a public
--   client is refreshed with the first key that it proves alone; any other client proves who it is each time.
-- Out. As `issue_token_v3`; also 'behind' with the code 'family': it ended, or has another generation by now. Nothing is
--   written then.
--
-- Of those who refresh at one moment the first holds the row until its commit; the others then find another generation.
-- The advisory locks come first, as the end of a family takes them: the lock of the family is among them.
CREATE OR REPLACE FUNCTION issue_family_token_v3(
    text, timestamptz, bigint, bigint[], bigint, bigint, bigint, bigint[], bigint[], bigint[], uuid[], bigint, bigint,
    text, uuid, text, bigint, text, timestamptz, uuid[], uuid, uuid, text, timestamptz, integer, timestamptz,
    text, text, timestamptz, text, text, timestamptz, text, text, timestamptz, uuid, text,
    uuid, text[], text, text, uuid, text[], text, text, uuid, text[], text, text,
    bigint[], text, text, timestamptz, jsonb, bigint[], text, timestamptz, text, text,
    p_family uuid, p_generation integer, p_rotates boolean, p_resource text, p_ceiling text, p_sign_in text,
    p_signed_in_at timestamptz, p_family_expires timestamptz, p_from text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    signed_in_acr text;
    signed_in_amr text;
BEGIN
    IF p_generation IS NULL THEN
        SELECT c.acr, c.amr INTO signed_in_acr, signed_in_amr FROM entitlements_authorizationcode c
         WHERE c.code = $33 AND c.application_id = $6;
    ELSE
        PERFORM pg_advisory_xact_lock_shared(n) FROM unnest($4) WITH ORDINALITY AS t(n, i) ORDER BY i;
        PERFORM FROM entitlements_tokenfamily f
          WHERE f.id = p_family AND f.client_id = coalesce($55[cardinality($55)], $6) AND f.generation = p_generation AND f.ended_at IS NULL
            AND f.expires_at > clock_timestamp() AND (f.jkt = '' OR f.jkt = $56) FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            outcome := 'behind';
            code := 'family';
            RETURN;
        END IF;
    END IF;
    SELECT t.outcome, t.code, t.session, t.sequence, t.moment INTO outcome, code, session, sequence, moment
      FROM issue_token_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
          $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
          $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59) AS t;
    IF outcome <> 'issued' THEN
        RETURN;
    END IF;
    IF p_generation IS NULL THEN
        INSERT INTO entitlements_tokenfamily (id, client_id, agent_id, person_id, system_id, session_id, resource, scope,
            code_sha256, sign_in_sha256, auth_time, acr, amr, generation, retired, started_at, last_used_at, last_used_from,
            expires_at, end_reason, jkt)
        VALUES (p_family, $6, $5, $17, $7, session, p_resource, p_ceiling, $33, p_sign_in, p_signed_in_at,
            signed_in_acr, signed_in_amr, 1, '{}', $2, $2, p_from, p_family_expires, '',
            CASE WHEN (SELECT c.auth FROM entitlements_client c WHERE c.id = $6) = 'none' THEN coalesce($56, '') ELSE '' END);
    ELSE
        UPDATE entitlements_tokenfamily f
           SET generation = f.generation + CASE WHEN p_rotates THEN 1 ELSE 0 END,
               retired = CASE WHEN p_rotates THEN (array_prepend($2, f.retired))[1:128] ELSE f.retired END,
               session_id = coalesce(issue_family_token_v3.session, f.session_id),
               last_used_at = greatest(f.last_used_at, $2), last_used_from = p_from,
               jkt = CASE WHEN f.jkt = '' AND (SELECT c.auth FROM entitlements_client c WHERE c.id = f.client_id) = 'none'
                          THEN coalesce($51, '') ELSE f.jkt END
         WHERE f.id = p_family;
    END IF;
    IF $16 = 'id_token' THEN
        UPDATE entitlements_oauthaccesstoken t SET family = p_family WHERE t.token_checksum = $34;
    ELSE
        UPDATE entitlements_issuedtoken t SET family = p_family WHERE t.jti = $15;
    END IF;
END $$;
REVOKE ALL ON FUNCTION issue_family_token_v3 FROM PUBLIC;
