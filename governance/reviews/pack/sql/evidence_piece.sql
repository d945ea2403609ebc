-- No piece of an archive is changed, deleted, or added once the pack is sealed.
CREATE OR REPLACE FUNCTION governance_piece_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' OR EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = NEW.pack_id) THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_sealed_pack_gets_no_piece BEFORE INSERT OR UPDATE OR DELETE ON governance_evidencepiece
    FOR EACH ROW EXECUTE FUNCTION governance_piece_is_allowed();
