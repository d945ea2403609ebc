"""The triggers that ask for a second person know the accounts of one mailbox, as `entitlements/mailboxes.py` says."""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

ACCOUNTS = """
CREATE OR REPLACE FUNCTION governance_accounts_of(bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT v.id) FROM entitlements_person n
      JOIN entitlements_person v
        ON v.id = n.id OR (n.email <> '' AND entitlements_mailbox(v.email) = entitlements_mailbox(n.email))
     WHERE n.id = ANY ($1)
$$;
"""
_BEFORE = import_module("governance.migrations.0034_late_members_and_second_accounts").DO
BEFORE = _BEFORE[: _BEFORE.index("CREATE OR REPLACE FUNCTION")].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")

_ASKED_LAST = import_module("governance.migrations.0053_who_is_asked_last").DO
_FROM, _TO = (_ASKED_LAST.index(f"CREATE FUNCTION governance_{name}") for name in ("is_asked_last", "fallback_is_fit"))
LAST_BEFORE = _ASKED_LAST[_FROM:_TO].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
LAST = LAST_BEFORE.replace("upper(p.email)", "entitlements_mailbox(p.email)")


class Migration(migrations.Migration):
    """Replace two functions that triggers call."""

    dependencies: ClassVar = [
        ("governance", "0060_who_looked_and_who_drafted"),
        ("entitlements", "0022_one_mailbox_is_one_human"),
    ]
    operations: ClassVar = [migrations.RunSQL(ACCOUNTS + LAST, BEFORE + LAST_BEFORE)]
