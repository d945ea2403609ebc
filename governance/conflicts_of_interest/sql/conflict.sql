-- Why a person with these accounts must not decide, as a `Reason` of governance/conflicts_of_interest/rules.py; NULL where
-- they may. It is the same rule in the same order; a test compares both. `relations` names who stands in each relation.
CREATE OR REPLACE FUNCTION governance_conflict(accounts bigint[], relations jsonb, asked_first bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    rules text[] := ARRAY['their_own', 'requested_it', 'owns_the_agent', 'benefits', 'came_later', 'answered_what_is_appealed',
                          'approved_it_lately', 'answered_another_stage', 'gave_it_at_their_system', 'sees_the_answer'];
BEGIN
    IF EXISTS (SELECT FROM jsonb_object_keys(relations) k WHERE k <> ALL (rules)) THEN
        RAISE EXCEPTION 'no such relation: %', relations USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN (SELECT rule.reason FROM unnest(accounts) WITH ORDINALITY AS account (id, place)
              JOIN unnest(rules) WITH ORDINALITY AS rule (reason, place) ON relations -> rule.reason @> to_jsonb(account.id)
             WHERE account.id IS DISTINCT FROM asked_first ORDER BY account.place, rule.place LIMIT 1);
END $$;

-- Refuses a decision for a reason of `governance_conflict`, in a sentence; does nothing where there is none.
CREATE OR REPLACE FUNCTION governance_refuse_conflict(reason text, sentences jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION '%', coalesce(sentences ->> reason, reason) USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
