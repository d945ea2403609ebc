-- The class of a tool that was approved once is lowered only as two people agreed: `lowered` of entitlements/definitions/tool_class.py.
CREATE OR REPLACE FUNCTION entitlements_class_of(tool entitlements_tool) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('action', tool.action, 'risk', tool.risk, 'data_class', tool.data_class,
        'reads_private', tool.reads_private, 'ingests_untrusted', tool.ingests_untrusted, 'egress_external', tool.egress_external)
$$;

CREATE OR REPLACE FUNCTION entitlements_two_people_lower_a_class() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actions text[] := '{read,write,delete,execute}';
    risks text[] := '{low,medium,high,critical}';
    data_classes text[] := '{public,internal,confidential,restricted}';
    was jsonb := entitlements_class_of(OLD);
    becomes jsonb := entitlements_class_of(NEW);
    lower boolean;
BEGIN
    IF OLD.approved_id IS NULL OR was = becomes THEN
        RETURN NEW;
    END IF;
    lower := array_position(actions, NEW.action::text) < array_position(actions, OLD.action::text)
        OR array_position(risks, NEW.risk::text) < array_position(risks, OLD.risk::text)
        OR (NEW.data_class <> OLD.data_class
            AND coalesce(array_position(data_classes, NEW.data_class::text) < array_position(data_classes, OLD.data_class::text), true))
        OR EXISTS (SELECT FROM unnest(ARRAY['reads_private', 'ingests_untrusted', 'egress_external']) AS flow
            WHERE (was -> flow = 'true' AND becomes -> flow <> 'true')
               OR (was -> flow = 'null' AND becomes -> flow = 'false' AND OLD.risk IN ('high', 'critical')));
    IF lower AND NOT EXISTS (
        SELECT FROM entitlements_proposal p JOIN entitlements_system s ON s.id = OLD.system_id
         WHERE p.kind = 'tool_class' AND p.subject = 'tool:' || s.slug || '/' || OLD.name AND p.state = 'confirmed'
           AND p.terms -> 'from' = was AND p.terms -> 'to' = becomes) THEN
        RAISE EXCEPTION 'two people lower the class of a tool' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER two_people_lower_the_class_of_a_tool
    BEFORE UPDATE OF action, risk, data_class, reads_private, ingests_untrusted, egress_external ON entitlements_tool
    FOR EACH ROW EXECUTE FUNCTION entitlements_two_people_lower_a_class();
