-- Evidence: what a review holds is never changed or deleted.
CREATE OR REPLACE FUNCTION governance_review_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER a_mark_is_never_changed BEFORE UPDATE OR DELETE ON governance_auditmark
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER an_audit_question_is_never_deleted BEFORE DELETE ON governance_auditquestion
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_sample_is_never_changed BEFORE UPDATE OR DELETE ON governance_auditsample
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_campaign_is_never_deleted BEFORE DELETE ON governance_campaign
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_staging_is_never_deleted BEFORE DELETE ON governance_campaignstaging
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_template_is_never_deleted BEFORE DELETE ON governance_campaigntemplate
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_draft_is_never_deleted BEFORE DELETE ON governance_draft
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_pack_is_never_changed BEFORE UPDATE OR DELETE ON governance_evidencepack
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_sealing_is_never_deleted BEFORE DELETE ON governance_evidencesealing
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_share_is_never_deleted BEFORE DELETE ON governance_evidenceshare
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_remediation_is_never_deleted BEFORE DELETE ON governance_remediation
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_comment_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewcomment
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_question_is_never_deleted BEFORE DELETE ON governance_reviewquestion
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_review_trigger_is_never_deleted BEFORE DELETE ON governance_reviewtrigger
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_sampled_item_is_never_changed BEFORE UPDATE OR DELETE ON governance_sampleditem
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_spot_check_is_never_deleted BEFORE DELETE ON governance_spotcheck
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_plan_of_spot_checks_is_never_deleted BEFORE DELETE ON governance_spotplan
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER what_is_taken_back_stays_so BEFORE UPDATE OR DELETE ON governance_takenback
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER what_was_put_together_stays BEFORE UPDATE OR DELETE ON governance_timing
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER a_timing_run_is_never_deleted BEFORE DELETE ON governance_timingrun
    FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE OR REPLACE TRIGGER that_it_was_put_together_stays BEFORE UPDATE ON governance_timingrun
    FOR EACH ROW WHEN (OLD.put_together_at IS DISTINCT FROM NEW.put_together_at AND OLD.put_together_at IS NOT NULL
        OR OLD.campaign_id <> NEW.campaign_id)
    EXECUTE FUNCTION governance_review_stays();
