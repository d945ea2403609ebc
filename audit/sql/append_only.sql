-- The record is append-only: no role changes or deletes an event, a leaf, a node or a checkpoint; only the sealer
-- deletes a pending row, and no role changes one. ENABLE ALWAYS: session_replication_role = replica does not go round
-- it.
CREATE OR REPLACE FUNCTION record_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER append_only;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE events ENABLE ALWAYS TRIGGER append_only;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON leaves
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE leaves ENABLE ALWAYS TRIGGER append_only;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON nodes
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE nodes ENABLE ALWAYS TRIGGER append_only;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE ON pending
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
ALTER TABLE pending ENABLE ALWAYS TRIGGER append_only;
