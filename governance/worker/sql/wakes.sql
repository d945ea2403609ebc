-- What the worker's loop wakes for (`governance/worker/jobs.py`): the transaction that leaves something to do says so, by
-- a word, and PostgreSQL tells it when that commits, once a transaction and word. A lost word costs a wait and no more.
-- No call of an agent pays for it: what it writes is told of when it is sealed, a batch at a time.
CREATE OR REPLACE FUNCTION wake_worker() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('mandate_work', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER sealed_events_are_told AFTER INSERT ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('sealed');
CREATE OR REPLACE TRIGGER a_touch_is_told AFTER INSERT ON events
    FOR EACH ROW WHEN (NEW.action = 'decoy.touched') EXECUTE FUNCTION wake_worker('decoy');
CREATE OR REPLACE TRIGGER a_new_tool_is_told AFTER INSERT ON entitlements_tool
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('decoy');
CREATE OR REPLACE TRIGGER a_security_event_is_told AFTER INSERT ON entitlements_securityevent
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('security_event');
CREATE OR REPLACE TRIGGER a_stream_event_is_told AFTER INSERT ON entitlements_streamevent
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('stream');
CREATE OR REPLACE TRIGGER a_changed_stream_is_told AFTER UPDATE OF status, method, endpoint_url ON entitlements_eventstream
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('stream');
CREATE OR REPLACE TRIGGER a_new_poll_is_told AFTER INSERT ON entitlements_signalpoll
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('poll');
CREATE OR REPLACE TRIGGER an_asked_comparison_is_told AFTER INSERT OR UPDATE OF asked_at ON entitlements_definitionwatch
    FOR EACH ROW WHEN (NEW.asked_at IS NOT NULL) EXECUTE FUNCTION wake_worker('comparison');
CREATE OR REPLACE TRIGGER a_new_document_is_told AFTER INSERT OR UPDATE OF document_url ON entitlements_restapi
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('document');
CREATE OR REPLACE TRIGGER a_new_delivery_is_told AFTER INSERT ON governance_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('delivery');
CREATE OR REPLACE TRIGGER a_replayed_delivery_is_told AFTER UPDATE OF state ON governance_delivery
    FOR EACH ROW WHEN (NEW.state = 'waiting' AND OLD.state <> 'waiting') EXECUTE FUNCTION wake_worker('delivery');
CREATE OR REPLACE TRIGGER a_new_chat_is_told AFTER INSERT OR UPDATE OF sealed_token ON governance_chatconnection
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('delivery');
CREATE OR REPLACE TRIGGER a_new_message_is_told AFTER INSERT ON governance_webhookmessage
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('webhook');
CREATE OR REPLACE TRIGGER a_replayed_message_is_told AFTER UPDATE OF state ON governance_webhookmessage
    FOR EACH ROW WHEN (NEW.state = 'waiting' AND OLD.state <> 'waiting') EXECUTE FUNCTION wake_worker('webhook');
CREATE OR REPLACE TRIGGER a_changed_webhook_is_told AFTER UPDATE OF enabled ON governance_webhook
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('webhook');
CREATE OR REPLACE TRIGGER a_staging_is_told AFTER INSERT OR UPDATE OF state ON governance_campaign
    FOR EACH ROW WHEN (NEW.state = 'staging') EXECUTE FUNCTION wake_worker('staging');
CREATE OR REPLACE TRIGGER a_sealing_is_told AFTER INSERT OR UPDATE OF refused ON governance_evidencesealing
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('evidence');
CREATE OR REPLACE TRIGGER a_replay_is_told AFTER INSERT ON governance_whatif
    FOR EACH STATEMENT EXECUTE FUNCTION wake_worker('what_if');
