"""What each database role may touch. `migrate` applies it, so that a new table is never left open or shut.

The owner migrates. The application's role uses ordinary tables freely, and of the record it may append and read. The
sealer's role moves pending rows to leaves and writes checkpoints. The issuers' role reads what tokens are decided on,
and writes by functions alone, which run with the owner's rights. No role updates or deletes what is recorded.
"""

import re
from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

_MIGRATED: Final = {"django_migrations": "SELECT", "sql_files": "SELECT"}
APP: Final = {
    "events": "SELECT, INSERT",
    "pending": "SELECT, INSERT",
    "leaves": "SELECT",
    "nodes": "SELECT",
    "checkpoints": "SELECT",
    "anchor_states": "SELECT",
    "stops": "SELECT",
    "producers": "SELECT",
    "cursors": "SELECT, INSERT, UPDATE, DELETE",
    "subject_keys": "SELECT, INSERT, UPDATE",
    "stranger_counts": "SELECT, INSERT, UPDATE, DELETE",
    **_MIGRATED,
}
SEAL: Final = {
    "events": "SELECT",
    "pending": "SELECT, DELETE",
    "leaves": "SELECT, INSERT",
    "nodes": "SELECT, INSERT",
    "checkpoints": "SELECT, INSERT",
    "anchor_states": "SELECT, INSERT, UPDATE, DELETE",
    "stops": "SELECT, INSERT, UPDATE (kept_at)",
}
ISSUE: Final = {
    **dict.fromkeys(
        (
            *("agent", "authorizationcode", "change", "client", "clientalias", "connection", "credentialpolicy"),
            "delegationpermission",
            *(
                "entitlement",
                "entitlementtool",
                "gatewaynode",
                "grant",
                "grantline",
                "grantsubject",
                "guardrail",
                "guardrailversion",
                "identity",
                "issuedtoken",
            ),
            *("membership", "oauthaccesstoken", "session", "sessionpolicy", "signingkey", "system", "tokenfamily"),
            *("tool", "toolversion", "trustedissuer", "vendor", "vendorsubject", "workloadrule"),
        ),
        "SELECT",
    ),
    "clientcredential": "SELECT (client_id, state, jwks, answered_at)",
    "person": "SELECT (id, login, is_active, disabled_at, sign_ins_valid_after, risk_level, held_by_risk, "
    "sign_in_required_after)",
}
"""Tables of `entitlements`: neither passwords and mail addresses, nor the secrets of the systems behind the gateway."""
NODES: Final = ("acknowledge_v1", "count_strangers_v1", "stop_node_v1")
"""What a node says of itself."""
FUNCTIONS: Final = (
    *("ensure_event_months", "issue_family_token_v3", "issue_token_v3"),
    *(
        "receive_security_events_v1",
        "revoke_token_family_v1",
        "revoke_tokens_v1",
        "rotate_client_credential_v1",
        "vendor_email_v1",
    ),
)
"""What runs with the owner's rights; the application may call it.

The issuers may call what has a version in its name, because nodes of two releases call it during an upgrade.
"""
BUDGETS: Final = ("lease_budget_v1", "return_budget_v1")
"""By what a gateway node spends of budgets; no issuer forwards a call."""
VERSIONED: Final = re.compile(r"_v\d+$")
ORDINARY: Final = "SELECT, INSERT, UPDATE, DELETE"
_READ_ONLY: Final = {"S": "USAGE, SELECT", "v": "SELECT"}
"""What the application may do with sequences and views; the other roles use none."""


def apply(connection: BaseDatabaseWrapper) -> None:
    """Grant each role what it needs and revoke the rest, if this connection's role owns the tables. Idempotent.

    In one transaction, since others serve meanwhile: they must not see the moment between a REVOKE and its GRANT.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relkind, c.relispartition FROM pg_class c"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')"
            " AND pg_get_userbyid(c.relowner) = current_user"
        )
        owned = cursor.fetchall()
        cursor.execute("SELECT current_user, current_schema()")
        owner, schema = cursor.fetchone()
        if "events" not in {name for name, _, _ in owned}:
            return
        roles = settings.DATABASE_ROLES
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[*roles.values()]])
        made = {name for (name,) in cursor.fetchall()}
        issue = {f"entitlements_{name}": allowed for name, allowed in ISSUE.items()}
        for role, grants, other in (
            (roles["issue"], {**issue, **_MIGRATED}, ""),
            (roles["seal"], SEAL, ""),
            (roles["app"], APP, ORDINARY),
        ):
            if role == owner or role not in made:
                continue  # one role for everything: nothing to grant, and checks complain elsewhere
            cursor.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(role))
            )
            for statement in _statements(role, owned, grants, other):
                cursor.execute(statement)


def _statements(
    role: str, owned: Iterable[tuple[str, str, bool]], grants: dict[str, str], other: str
) -> Iterable[sql.Composed]:
    to = sql.Identifier(role)
    for name, kind, is_partition in owned:
        thing = sql.SQL("SEQUENCE {}" if kind == "S" else "TABLE {}").format(sql.Identifier(name))
        yield sql.SQL("REVOKE ALL ON {} FROM {}, PUBLIC").format(thing, to)
        allowed = "" if is_partition else grants.get(name, other)
        if kind in _READ_ONLY:
            allowed = _READ_ONLY[kind] if other else ""
        if allowed:
            yield sql.SQL("GRANT " + allowed + " ON {} TO {}").format(thing, to)
    for name in (*FUNCTIONS, *NODES, *BUDGETS):
        if other or (grants is not SEAL and name not in BUDGETS and VERSIONED.search(name)):
            yield sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.Identifier(name), to)
