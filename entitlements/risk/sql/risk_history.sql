-- The history of risk is append-only: no role changes or deletes a signal, or what a person decided about one.
CREATE OR REPLACE TRIGGER risk_signal_kept BEFORE UPDATE OR DELETE ON entitlements_risksignal
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE OR REPLACE TRIGGER risk_decision_kept BEFORE UPDATE OR DELETE ON entitlements_riskdecision
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
