-- Writes a token with which a session begins, and keeps what the sign-in says of itself. It guards that session policies
-- look at what was known when the session began: they read the row alone.
--
-- In. $1 to $56 are the parameters of `issue_token_v2`, which writes all else; $22 is the session, which begins.
--   `p_signed_in_at`: the time that the sign-in states, NULL where it states none. `p_acr` and `p_amr`: its context, and
--   its methods between spaces.
-- Out. As `issue_token_v2`.
CREATE OR REPLACE FUNCTION issue_token_v3(
    text, timestamptz, bigint, bigint[], bigint, bigint, bigint, bigint[], bigint[], bigint[], uuid[], bigint,
    bigint, text, uuid, text, bigint, text, timestamptz, uuid[], uuid, uuid, text, timestamptz, integer,
    timestamptz, text, text, timestamptz, text, text, timestamptz, text, text, timestamptz, uuid, text, uuid,
    text[], text, text, uuid, text[], text, text, uuid, text[], text, text, bigint[], text, text, timestamptz,
    jsonb, bigint[], text,
    p_signed_in_at timestamptz, p_acr text, p_amr text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    SELECT t.outcome, t.code, t.session, t.sequence, t.moment INTO outcome, code, session, sequence, moment
      FROM issue_token_v2(
          $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
          $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
          $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56) AS t;
    IF outcome = 'issued' THEN
        UPDATE entitlements_session n SET signed_in_at = p_signed_in_at, acr = p_acr, amr = p_amr WHERE n.id = $22;
    END IF;
END $$;
REVOKE ALL ON FUNCTION issue_token_v3 FROM PUBLIC;
