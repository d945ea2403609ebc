-- A client of an agent works only with the credential that was accepted for it or that it rotated itself, and the one
-- before that, so that no analyst takes an agent's access by a key of their own.
CREATE OR REPLACE FUNCTION entitlements_a_live_client_holds_what_was_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM entitlements_clientcredential c
         WHERE c.client_id = NEW.identifier AND c.agent_id = NEW.agent_id AND c.state IN ('accepted', 'rotated')
           AND c.auth = NEW.auth AND c.jwks = NEW.jwks AND c.secret_sha256 = NEW.secret_sha256
           AND c.redirect_uris = NEW.redirect_uris AND c.api_scopes = NEW.api_scopes
    ) THEN
        RAISE EXCEPTION 'the credential of client % was not accepted for its agent', NEW.identifier
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_live_client_holds_what_was_accepted';
    END IF;
    IF NEW.previous_ends_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM entitlements_clientcredential c
         WHERE c.client_id = NEW.identifier AND c.agent_id = NEW.agent_id AND c.state IN ('accepted', 'rotated')
           AND c.auth = NEW.auth AND c.jwks = NEW.previous_jwks AND c.secret_sha256 = NEW.previous_secret_sha256
    ) THEN
        RAISE EXCEPTION 'the previous credential of client % was not accepted for its agent', NEW.identifier
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_live_client_holds_what_was_accepted';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_live_client_holds_what_was_accepted
    BEFORE INSERT OR UPDATE OF identifier, agent_id, auth, jwks, secret_sha256, redirect_uris, api_scopes, status,
        previous_jwks, previous_secret_sha256, previous_ends_at
    ON entitlements_client
    FOR EACH ROW WHEN (NEW.agent_id IS NOT NULL AND NEW.status = 'active')
    EXECUTE FUNCTION entitlements_a_live_client_holds_what_was_accepted();
