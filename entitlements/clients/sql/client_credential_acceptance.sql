-- A credential of an agent's client is accepted by its sponsor, owner or backup owner, never by a second account of the
-- person who asked for it; it is answered once, as it was asked for. One that its client rotated continues the one that
-- the client holds, and allows the same.
CREATE OR REPLACE FUNCTION entitlements_a_credential_is_accepted_by_who_is_responsible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state <> 'waiting' OR
        (OLD.agent_id, OLD.client_id, OLD.purpose, OLD.auth, OLD.jwks, OLD.secret_sha256, OLD.redirect_uris,
         OLD.api_scopes, OLD.asked_by, OLD.askers, OLD.asked_at, OLD.answer_by, OLD.precedes_acceptance, OLD.workload)
        IS DISTINCT FROM
        (NEW.agent_id, NEW.client_id, NEW.purpose, NEW.auth, NEW.jwks, NEW.secret_sha256, NEW.redirect_uris,
         NEW.api_scopes, NEW.asked_by, NEW.askers, NEW.asked_at, NEW.answer_by, NEW.precedes_acceptance, NEW.workload)) THEN
        RAISE EXCEPTION 'credential % was answered, or is not what was asked for', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_credential_is_answered_once_as_it_was_asked_for';
    END IF;
    IF NEW.precedes_acceptance THEN
        RAISE EXCEPTION 'credential % is not older than acceptance', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_new_credential_precedes_acceptance';
    END IF;
    IF NEW.state = 'accepted' AND NOT EXISTS (
        SELECT FROM entitlements_agent a JOIN entitlements_person p ON p.id IN (a.sponsor_id, a.owner_id, a.backup_id)
         WHERE a.id = NEW.agent_id AND p.id = NEW.acceptor_id AND p.is_active
           AND NOT EXISTS (
               SELECT FROM entitlements_person asker
                WHERE NEW.askers ? asker.login AND asker.id <> p.id AND p.email <> ''
                  AND entitlements_mailbox(asker.email) = entitlements_mailbox(p.email))
    ) THEN
        RAISE EXCEPTION 'credential % is accepted by a person who may not', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_credential_is_accepted_by_who_is_responsible';
    END IF;
    IF NEW.state = 'rotated' AND (TG_OP <> 'INSERT' OR NOT EXISTS (
        SELECT FROM entitlements_clientcredential k JOIN entitlements_client c ON c.identifier = k.client_id
         WHERE k.id = NEW.continues AND k.state IN ('accepted', 'rotated') AND c.status = 'active'
           AND (k.agent_id, k.client_id, k.auth, k.redirect_uris, k.api_scopes)
             = (NEW.agent_id, NEW.client_id, NEW.auth, NEW.redirect_uris, NEW.api_scopes)
           AND (k.agent_id, k.auth, k.jwks, k.secret_sha256) = (c.agent_id, c.auth, c.jwks, c.secret_sha256))
    ) THEN
        RAISE EXCEPTION 'credential % does not continue what its client holds', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_rotated_credential_continues_an_accepted_one';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_credential_is_accepted_by_who_is_responsible
    BEFORE INSERT OR UPDATE
    ON entitlements_clientcredential
    FOR EACH ROW EXECUTE FUNCTION entitlements_a_credential_is_accepted_by_who_is_responsible();
