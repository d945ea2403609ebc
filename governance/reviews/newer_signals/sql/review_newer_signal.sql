-- Only an open item gets a newer signal.
CREATE OR REPLACE FUNCTION governance_newer_signal_is_of_an_open_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
                   WHERE i.id = NEW.item_id AND i.state = 'in_review' AND c.state = 'active') THEN
        PERFORM governance_review_refuses('only what waits for an answer is weighed again');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER only_what_is_open_is_weighed_again BEFORE INSERT OR UPDATE ON governance_newersignal
    FOR EACH ROW EXECUTE FUNCTION governance_newer_signal_is_of_an_open_item();
