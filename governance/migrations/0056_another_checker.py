"""A checker who left or is not independent any more is replaced, or nobody is, before the check is due.

Only adds. The release before replaces nobody: there such a check counts as not answered, as it did.
"""

# ruff: noqa: E501 - the SQL is read as one piece, and compared with that of 0054

from importlib import import_module
from typing import ClassVar

from django.db import migrations

_BEFORE = import_module("governance.migrations.0054_spot_checks").DO
_FUNCTION = _BEFORE[
    _BEFORE.index("CREATE FUNCTION governance_spot_check_is_allowed") : _BEFORE.index(
        "CREATE TRIGGER a_spot_check_is_asked_and_answered_by_the_rules"
    )
].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
UNDO = f"{_FUNCTION}\nDROP FUNCTION governance_spot_is_seen(uuid, bigint);"
DO = """
CREATE FUNCTION governance_spot_is_seen(asked uuid, who bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[who]);
BEGIN
    RETURN EXISTS (SELECT FROM governance_evidenceshare s JOIN governance_reviewitem i ON i.campaign_id = s.campaign_id
                   WHERE i.id = asked AND s.auditor_id = ANY (voices) AND s.ended_at IS NULL AND s.expires_at > now())
        OR EXISTS (SELECT FROM governance_delegation d JOIN governance_assignment a ON a.reviewer_id = d.delegator_id
                   WHERE a.item_id = asked AND d.delegate_id = ANY (voices) AND d.ended_at IS NULL
                   AND d.starts_at <= now() AND d.ends_at > now());
END $$;
""" + _FUNCTION.replace(
    "    ELSIF OLD.verb = '' AND NEW.verb <> '' THEN\n",
    """    ELSIF OLD.verb = '' AND NEW.checker_id IS DISTINCT FROM OLD.checker_id THEN
        SELECT p.due_at INTO until FROM governance_spotplan p WHERE p.campaign_id = NEW.plan_id;
        IF OLD.checker_id IS NULL OR NEW.asked_at >= until OR to_jsonb(NEW) - 'checker_id' - 'resolution' - 'asked_at'
                IS DISTINCT FROM to_jsonb(OLD) - 'checker_id' - 'resolution' - 'asked_at'
                OR governance_spot_conflict(OLD.item_id, OLD.checker_id) IS NULL
                   AND NOT governance_spot_is_seen(OLD.item_id, OLD.checker_id) THEN
            PERFORM governance_review_refuses('somebody else makes a spot check only where its checker cannot any more');
        END IF;
        PERFORM governance_talk_is_open(NEW.item_id);
    ELSIF OLD.verb = '' AND NEW.verb <> '' THEN
""",
)


class Migration(migrations.Migration):
    """Two functions that a trigger calls."""

    dependencies: ClassVar = [("governance", "0055_who_moved")]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
