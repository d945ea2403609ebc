-- Writes one token, or one refusal, of an issuer's node: one call is one transaction and one numbered event. It guards
-- that nothing is issued on facts that were taken away meanwhile. Call it as one statement, in autocommit.
--
-- In. `p_action`: 'token.issued' mints; 'token.refused' records what the node decided itself, and 'producer.ended' a
--   lost producer. `p_decided`: the node's clock when it decided; also the time of token, session and event.
--   `p_position`: the place in the feed up to which all its facts held. `p_locks`: numbers of advisory locks, in the
--   order of `Lock`. p_agent .. p_signing_key: the primary keys of all that the decision stood on, which the feed must
--   not have named since (`p_people`: subject, sponsor, owner; `p_grants`, `p_tools`, `p_groups`: all that were looked
--   at). p_jti .. p_parent: the row of the token. One that draws on no grant (`p_drawn`) is a client's own at our API, or
--   an access token of a person's session that carries no scope (all that it opens is a request), or one for all
--   systems, each call of which is decided by itself. `p_session`: its session; with `p_sign_in` it begins now.
--   Used once: `p_proof_*`, the client's own assertion; `p_claim_*`, the assertion that is redeemed;
--   `p_authorization_code`, a code's digest. Events are canonical bytes in two halves around the number: `p_event_*`
--   is what happens; `p_used_*` happens instead when `p_claim_*` or the code was used before; without it nothing is
--   written then where it was `p_claim_*`. `p_begun_*` is the beginning of the session, which
--   carries the trace that this event links to, else `p_trace`.
--   `p_chain`: the agents behind the one that acts, the nearest first, each of which must be active, `p_chain_clients` the
--   clients through which they acted; the session is that of the last. `p_jkt`: the thumbprint
--   (RFC 7638) of the key that the token is bound to. `p_proven_jkt`: that of the key that the caller proved, to which what
--   is redeemed may be bound, with `p_dpop_*` the proof, used once for each key. They differ where an agent delegates.
--   `p_authorization_details`: what was granted of them (RFC 9396). Of the sign-in by which a session begins:
--   `p_signed_in_at`, the time that it states, NULL where it states none; `p_acr` and `p_amr`, its context, and its
--   methods between spaces. Session policies read them in the row of the session alone.
-- Out. `outcome`: 'issued' or 'refused': as asked. 'used': the assertion or code was used before; `p_used_*` is in the
--   record. 'replayed': the client's own assertion was used before, or with the code 'dpop' its DPoP proof; nothing is
--   written: count a stranger, or refuse the proof. 'behind': a
--   fact changed (`code` says which): read anew, decide again. 'stale': decided over 2 s ago, or in the future. These
--   three use no number; 'behind' and 'stale' keep no claim either. 'refused' and 'used' keep every claim.
--   `session`: the session of the token; when 'behind' by 'sign_in', the one that the sign-in has already.
--   `sequence`: the number of the last event written. `moment`: the database's clock at the end.
--
-- Locks first, then each state in a later statement: VOLATILE under READ COMMITTED, it sees what the last holder of a
-- lock committed. The feed is exact for all that is locked: who takes a right away notes it under the exclusive lock.
-- The rows are looked at once more, by primary key, in case a change was not noted, and for what ends by time alone:
-- client, system, agent with its sponsor, person, session, redeemed token, grants. Groups and tools stand in the feed.
CREATE OR REPLACE FUNCTION issue_token_v3(
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
    p_chain bigint[], p_jkt text, p_dpop_jti text, p_dpop_until timestamptz, p_authorization_details jsonb,
    p_chain_clients bigint[], p_proven_jkt text, p_signed_in_at timestamptz, p_acr text, p_amr text,
    OUT outcome text, OUT code text, OUT session uuid, OUT sequence bigint, OUT moment timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    mints constant boolean := p_action = 'token.issued';
    begins constant boolean := mints AND p_sign_in IS NOT NULL;
    root_agent constant bigint := coalesce(p_chain[cardinality(p_chain)], p_agent);  -- began the chain, and its session
    root_client constant bigint := coalesce(p_chain_clients[cardinality(p_chain_clients)], p_client);
    id_token bigint;
    family_of_parent uuid;
BEGIN
    outcome := CASE WHEN mints THEN 'issued' ELSE 'refused' END;
    code := '';
    session := p_session;
    IF p_action NOT IN ('token.issued', 'token.refused', 'producer.ended')
       OR NOT starts_with(p_event_head, '{"action":"' || p_action || '",')
       OR NOT starts_with(p_used_head, '{"action":"token.refused",')
       OR NOT starts_with(p_begun_head, '{"action":"session.begun",') THEN
        RAISE EXCEPTION 'this function does not record such an event' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF mints AND p_kind <> 'id_token' AND cardinality(p_drawn) = 0 AND NOT (
           (p_person IS NULL AND p_scope <> '')  -- a client for itself, at our own API
           OR (p_kind = 'access_token' AND p_person IS NOT NULL AND p_session IS NOT NULL AND p_scope = '')
           OR EXISTS (SELECT FROM entitlements_system y  -- decided call by call
                       WHERE y.id = p_system AND y.kind = 'builtin' AND y.slug = 'all')) THEN
        RAISE EXCEPTION 'a token for a person draws on a grant for each of its scopes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF mints THEN
        PERFORM pg_advisory_xact_lock_shared(n) FROM unnest(p_locks) WITH ORDINALITY AS t(n, i) ORDER BY i;
        moment := clock_timestamp();
        IF moment - p_decided NOT BETWEEN interval '-1 second' AND interval '2 seconds' THEN
            outcome := 'stale';
            RETURN;
        END IF;
        PERFORM FROM entitlements_change c WHERE c.seq > p_position AND (
            c.concerns_all OR c.agent_id = p_agent OR c.agent_id = ANY(p_chain) OR c.client_id = p_client
            OR c.client_id = ANY(p_chain_clients) OR c.system_id = p_system
            OR c.person_id = ANY(p_people) OR c.group_id = ANY(p_groups) OR c.tool_id = ANY(p_tools)
            OR c.grant_id = ANY(p_grants) OR c.session_id = p_session OR c.token_id = p_parent
            OR c.trusted_issuer_id = p_trusted_issuer OR c.identity_link_id = p_identity_link
            OR c.signing_key_id = p_signing_key);
        IF FOUND THEN
            outcome := 'behind';
            code := 'feed';
            RETURN;
        END IF;
        code := CASE
            WHEN NOT EXISTS (SELECT FROM entitlements_client c WHERE c.id = p_client AND c.status = 'active')
                THEN 'client'
            WHEN NOT EXISTS (SELECT FROM entitlements_system y WHERE y.id = p_system AND y.status = 'active')
                 AND p_system IS NOT NULL THEN 'system'
            WHEN NOT EXISTS (SELECT FROM entitlements_agent a JOIN entitlements_person s ON s.id = a.sponsor_id
                              WHERE a.id = p_agent AND a.status = 'active' AND s.is_active
                                AND (a.ends_at > moment OR a.ends_at IS NULL))
                 AND p_agent IS NOT NULL THEN 'agent'
            WHEN EXISTS (SELECT FROM unnest(p_chain) AS behind(id) LEFT JOIN (
                             entitlements_agent a JOIN entitlements_person s ON s.id = a.sponsor_id AND s.is_active
                         ) ON a.id = behind.id AND a.status = 'active' AND (a.ends_at > moment OR a.ends_at IS NULL)
                          WHERE a.id IS NULL)
                 OR cardinality(p_chain) IS DISTINCT FROM cardinality(p_chain_clients)
                 OR EXISTS (SELECT FROM unnest(p_chain_clients) AS behind(id)
                              LEFT JOIN entitlements_client c ON c.id = behind.id AND c.status = 'active'
                             WHERE c.id IS NULL) THEN 'chain'
            WHEN NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = p_person AND p.is_active)
                 AND p_person IS NOT NULL THEN 'person'
            WHEN NOT EXISTS (SELECT FROM entitlements_session n
                              WHERE n.id = p_session AND n.agent_id = root_agent AND n.ended_at IS NULL
                                AND n.expires_at > moment)
                 AND p_session IS NOT NULL AND p_sign_in IS NULL THEN 'session'
            WHEN NOT EXISTS (SELECT FROM entitlements_issuedtoken t
                              LEFT JOIN entitlements_issuedtoken o ON o.jti = t.parent
                              WHERE t.jti = p_parent AND t.person_id = p_person AND t.system_id = p_system
                                AND t.session_id = p_session AND (t.jkt = '' OR t.jkt = p_proven_jkt)
                                AND t.revoked_at IS NULL AND t.expires_at > moment
                                AND CASE WHEN p_kind = 'id_jag'  -- delegated on by the agent that holds it
                                    THEN t.kind = 'access_token' AND t.client_id = p_chain_clients[1]
                                     AND t.agent_id = p_chain[1] AND t.chain = p_chain[2:]
                                     AND t.expires_at >= p_expires
                                    ELSE t.kind = 'id_jag' AND t.client_id = p_client AND t.agent_id = p_agent
                                     AND t.chain = coalesce(p_chain, '{}')
                                     AND (o.jti IS NULL OR o.revoked_at IS NULL AND o.expires_at >= p_expires) END)
                 AND p_parent IS NOT NULL THEN 'parent'
            WHEN EXISTS (SELECT FROM unnest(p_drawn) AS d(id) LEFT JOIN entitlements_grant g
                             ON g.id = d.id AND (g.agent_id = p_agent OR g.agent_id = ANY(p_chain)) AND g.state = 'active'
                            AND g.starts_at <= moment AND g.expires_at >= p_expires
                          WHERE g.id IS NULL) THEN 'grant'
            ELSE '' END;
        IF p_parent IS NOT NULL AND code = '' THEN  -- a token lives in the family of what was redeemed for it, if any
            SELECT t.family, CASE WHEN t.revoked_at IS NULL THEN '' ELSE 'parent' END INTO family_of_parent, code
              FROM entitlements_issuedtoken t WHERE t.jti = p_parent
               FOR SHARE;  -- the end of the family, or of what it descends from, waits and then finds what is made
        END IF;
        IF begins AND code = '' THEN
            SELECT n.id INTO session FROM entitlements_session n
             WHERE n.client_id = root_client AND n.sign_in_sha256 = p_sign_in ORDER BY n.started_at DESC LIMIT 1;
            IF FOUND THEN
                code := 'sign_in';
            END IF;
        END IF;
        IF code <> '' THEN
            outcome := 'behind';
            RETURN;
        END IF;
        session := p_session;
    END IF;

    IF p_dpop_jti IS NOT NULL THEN
        INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
        VALUES ('dpop:' || p_proven_jkt, p_dpop_jti, p_dpop_until) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'replayed';
            code := 'dpop';
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
    IF p_claim_jti IS NOT NULL THEN
        INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
        VALUES (p_claim_issuer, p_claim_jti, p_claim_until) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'used';
            IF p_used_uuid IS NULL THEN  -- the caller records it, and uses its assertion up with that
                DELETE FROM entitlements_usedassertion a WHERE (a.issuer, a.jti) IN (
                    (p_proof_issuer, p_proof_jti), ('dpop:' || p_proven_jkt, p_dpop_jti));
                RETURN;
            END IF;
        END IF;
    END IF;
    IF p_authorization_code IS NOT NULL THEN
        PERFORM FROM entitlements_authorizationcode c
          WHERE c.code = p_authorization_code AND c.application_id = p_client FOR UPDATE;  -- it is used up below
        IF NOT FOUND THEN
            outcome := 'used';
        END IF;
    END IF;

    IF outcome = 'issued' AND begins THEN
        INSERT INTO entitlements_session (id, agent_id, client_id, person_id, sign_in_sha256, started_at, last_used_at,
                                          idle_seconds, expires_at, auth_time, signed_in_at, acr, amr, risk, labels,
                                          end_reason, trace)
        VALUES (p_session, root_agent, root_client, p_person, p_sign_in, p_decided, p_decided, p_idle_seconds,
                p_session_expires, p_auth_time, p_signed_in_at, p_acr, p_amr, 'low', '[]', '', left(coalesce(
                    (SELECT max(substr(l, 7)) FROM unnest(p_begun_links) AS t(l) WHERE starts_with(l, 'trace:')),
                    p_trace), 32)) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN  -- another node began it at this moment: what was claimed above is given back
            DELETE FROM entitlements_usedassertion a WHERE (a.issuer, a.jti) IN (
                (p_proof_issuer, p_proof_jti), (p_claim_issuer, p_claim_jti), ('dpop:' || p_proven_jkt, p_dpop_jti));
            SELECT n.id INTO session FROM entitlements_session n
             WHERE n.client_id = root_client AND n.sign_in_sha256 = p_sign_in ORDER BY n.started_at DESC LIMIT 1;
            outcome := 'behind';
            code := 'sign_in';
            RETURN;
        END IF;
    ELSIF outcome = 'issued' AND p_session IS NOT NULL THEN
        UPDATE entitlements_session n SET last_used_at = p_decided
         WHERE n.id = p_session AND n.last_used_at < p_decided;
    END IF;
    IF p_authorization_code IS NOT NULL THEN
        DELETE FROM entitlements_authorizationcode c
         WHERE c.code = p_authorization_code AND c.application_id = p_client;
    END IF;
    IF outcome = 'issued' AND p_kind = 'id_token' THEN
        INSERT INTO entitlements_oauthidtoken (jti, user_id, application_id, expires, scope, created, updated)
        VALUES (p_jti, p_person, p_client, p_expires, p_scope, p_decided, p_decided) RETURNING id INTO id_token;
        INSERT INTO entitlements_oauthaccesstoken (token, token_checksum, user_id, application_id, id_token_id, expires,
                                                   scope, resource, created, updated)
        VALUES ('', p_opaque_sha256, p_person, p_client, id_token, p_opaque_expires, p_scope, '[]', p_decided,
                p_decided);
    ELSIF outcome = 'issued' THEN
        INSERT INTO entitlements_issuedtoken (jti, kind, system_id, client_id, agent_id, person_id, session_id, scope,
                                              parent, issued_at, expires_at, revoke_reason, trace, chain, jkt,
                                              authorization_details)
        VALUES (p_jti, p_kind, p_system, p_client, p_agent, p_person, p_session, p_scope, p_parent, p_decided,
                p_expires, '', p_trace, coalesce(p_chain, '{}'), coalesce(p_jkt, ''), p_authorization_details);
        INSERT INTO entitlements_tokengrant (token_id, grant_id) SELECT p_jti, d FROM unnest(p_drawn) AS t(d);
        IF family_of_parent IS NOT NULL THEN
            UPDATE entitlements_issuedtoken t SET family = family_of_parent WHERE t.jti = p_jti;
        END IF;
    END IF;

    IF outcome = 'issued' AND begins THEN
        PERFORM record_event_v1(p_producer, p_decided, 'session.begun', p_begun_uuid, p_begun_links, p_trace,
                                p_begun_head, p_begun_tail);
    END IF;
    sequence := CASE WHEN outcome = 'used'
        THEN record_event_v1(p_producer, p_decided, 'token.refused', p_used_uuid, p_used_links, p_trace, p_used_head,
                             p_used_tail)
        ELSE record_event_v1(p_producer, p_decided, p_action, p_event_uuid, p_event_links, p_trace, p_event_head,
                             p_event_tail) END;
    moment := clock_timestamp();
END $$;
REVOKE ALL ON FUNCTION issue_token_v3 FROM PUBLIC;
