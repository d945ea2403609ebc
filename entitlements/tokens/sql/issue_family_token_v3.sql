-- Writes a token of a token family with which a session begins, and keeps what the sign-in says of itself. It guards the
-- same as `issue_token_v3`.
--
-- In. $1 to $65 are the parameters of `issue_family_token_v2`, which writes all else; the others are those of
--   `issue_token_v3`.
-- Out. As `issue_family_token_v2`.
CREATE OR REPLACE FUNCTION issue_family_token_v3(
    text, timestamptz, bigint, bigint[], bigint, bigint, bigint, bigint[], bigint[], bigint[], uuid[], bigint,
    bigint, text, uuid, text, bigint, text, timestamptz, uuid[], uuid, uuid, text, timestamptz, integer,
    timestamptz, text, text, timestamptz, text, text, timestamptz, text, text, timestamptz, uuid, text, uuid,
    text[], text, text, uuid, text[], text, text, uuid, text[], text, text, bigint[], text, text, timestamptz,
    jsonb, bigint[], text,
    uuid, integer, boolean, text, text, text, timestamptz, timestamptz, text,
    p_signed_in_at timestamptz, p_acr text, p_amr text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    SELECT t.outcome, t.code, t.session, t.sequence, t.moment INTO outcome, code, session, sequence, moment
      FROM issue_family_token_v2(
          $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
          $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
          $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62,
          $63, $64, $65) AS t;
    IF outcome = 'issued' THEN
        UPDATE entitlements_session n SET signed_in_at = p_signed_in_at, acr = p_acr, amr = p_amr WHERE n.id = $22;
    END IF;
END $$;
REVOKE ALL ON FUNCTION issue_family_token_v3 FROM PUBLIC;
