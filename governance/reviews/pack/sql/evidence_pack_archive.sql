-- Evidence is sealed together with its archive.
CREATE OR REPLACE FUNCTION governance_pack_has_an_archive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF octet_length(NEW.content) = 0 AND NOT EXISTS
            (SELECT FROM governance_evidencepiece p WHERE p.pack_id = NEW.campaign_id) THEN
        PERFORM governance_review_refuses('evidence is sealed with its archive');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_pack_is_sealed_with_its_archive BEFORE INSERT ON governance_evidencepack
    FOR EACH ROW EXECUTE FUNCTION governance_pack_has_an_archive();
