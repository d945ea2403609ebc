"""What the edge reads, as PostgreSQL finds it in the statements themselves, and how a change names a row of it."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection, transaction

import entitlements

Column = tuple[str, str]
Rows = dict[tuple[str, str], tuple[dict[str, Any], dict[str, str | None]]]
"""By table and key: what the edge reads of the row, and which columns of a change name it."""

_OF_DRIFT = ("_SEEN", "_OTHER_NETWORKS", "_UNUSUAL_HOURS", "_BUSY_HOURS", "_FIRST_CLASSES")
ELSEWHERE = {
    "entitlements.agents.lifecycle._DUE": "a sweep of the control lane reads it",
    **{f"entitlements.drift.history.{name}": "a worker that looks for drift reads it" for name in _OF_DRIFT},
}
OWN = {"entitlements_change", "entitlements_gatewaynode"}
"""The feed itself."""
NEVER_KEPT = {
    "entitlements_accountconsent": "each call looks at the consent of its own client and agent",
    "entitlements_connectedaccount": "each call takes the account as its row is, and those under way look again",
    "entitlements_budgetuse": "each question and each lease looks at the row as it is",
    "entitlements_authorizationcode": "a code is read when it is redeemed, and its row is taken in the write",
    "entitlements_clientcredential": "what a client had is read when it rotates, and its row is judged in the write",
    "entitlements_nodemessage": "each reader looks at the rows as they are",
    "entitlements_upstreamsession": "it carries no right, and a node looks at it every two minutes",
    "entitlements_stdiochild": "it carries no right, and is a node's while the lease of that node lives",
    "entitlements_stdionode": "it carries no right, and is read with the lease of the node",
    "entitlements_tokenfamily": "a family is read whenever its refresh token is presented",
    "entitlements_vendorsubject": "a person's name at a vendor is read for each ID-JAG that holds it",
    "entitlements_oauthaccesstoken": "the access token beside an ID token is read whenever it is presented",
}
"""Tables of which no node keeps a row."""

_OF_ENTITLEMENT = "(SELECT e.system_id FROM entitlements_entitlement e WHERE e.id = t.entitlement_id)"
_OF_GRANT = "(SELECT g.agent_id FROM entitlements_grant g WHERE g.id = t.grant_id)"
_OF_DECOY = "(SELECT min(l.agent_id) FROM entitlements_decoyagent l WHERE l.decoy_id = t.id)"
_OF_BUDGET = "coalesce(t.agent_id, (SELECT g.agent_id FROM entitlements_grant g WHERE g.id = t.grant_id))"
_OF_TOOL = "(SELECT x.system_id FROM entitlements_tool x WHERE x.id = t.tool_id)"
NAMED_BY: Mapping[str, Mapping[str, str]] = {
    "entitlements_agent": {"agent_id": "t.id", "person_id": "t.sponsor_id"},
    "entitlements_client": {"client_id": "t.id"},
    "entitlements_clientalias": {"client_id": "t.client_id"},
    "entitlements_clientcertificate": {"system_id": "t.system_id"},
    "entitlements_connector": {"system_id": "t.system_id"},
    "entitlements_credentialpolicy": {"concerns_all": "'true'"},
    "entitlements_connection": {"agent_id": "t.agent_id"},
    "entitlements_delegationpermission": {"agent_id": "t.agent_id"},
    "entitlements_endedclientsession": {"client_session_id": "t.id"},
    "entitlements_entitlement": {"system_id": "t.system_id"},
    "entitlements_entitlementtool": {"system_id": _OF_ENTITLEMENT},
    "entitlements_grant": {"agent_id": "t.agent_id"},
    "entitlements_grantline": {"agent_id": _OF_GRANT},
    "entitlements_grantsubject": {"agent_id": _OF_GRANT},
    "entitlements_guardrail": {"concerns_all": "'true'"},
    "entitlements_guardrailversion": {"concerns_all": "'true'"},
    "entitlements_identity": {"identity_link_id": "t.id"},
    "entitlements_issuedtoken": {"token_id": "t.jti", "token_family_id": "t.family"},
    "entitlements_membership": {"person_id": "t.person_id"},
    "entitlements_person": {"person_id": "t.id"},
    "entitlements_budget": {"agent_id": _OF_BUDGET, "system_id": "t.system_id"},
    "entitlements_decoy": {"agent_id": _OF_DECOY},
    "entitlements_decoyagent": {"agent_id": "t.agent_id"},
    "entitlements_policydomain": {"system_id": "t.system_id"},
    "entitlements_restapi": {"system_id": "t.system_id"},
    "entitlements_secret": {"system_id": "t.system_id"},
    "entitlements_session": {"session_id": "t.id", "person_id": "t.person_id", "client_id": "t.client_id"},
    "entitlements_sessionpolicy": {"concerns_all": "'true'"},
    "entitlements_signingkey": {"signing_key_id": "t.kid"},
    "entitlements_stdiosystem": {"system_id": "t.system_id"},
    "entitlements_system": {"system_id": "t.id"},
    "entitlements_systemnetwork": {"system_id": "t.system_id"},
    "entitlements_tool": {"tool_id": "t.id", "system_id": "t.system_id"},
    "entitlements_toolversion": {"tool_id": "t.tool_id", "system_id": _OF_TOOL},
    "entitlements_trustedissuer": {"trusted_issuer_id": "t.id"},
    "entitlements_vendor": {"system_id": "t.system_id"},
    "entitlements_workloadrule": {"client_id": "t.client_id", "trusted_issuer_id": "t.issuer_id"},
}
"""For each table, the columns of a change that name a row of it; each alone drops what is kept of the row."""

_KEY, _PLACE = "it is the name or the key of its row", "it says whose the row is, once and for all"
_ISSUED = "it is written with the token, which is then signed"
_BEGUN = "it is written when the session begins"
_OF_VERSION = ("acr", "conditions", "effect", "key", "max_age", "mode", "name", "position")
STAYS: Mapping[str, str] = {
    "agent.ends_at": "it is set at the registration",
    "agent.kind": "it is set at the registration",
    "agent.slug": _KEY,
    "client.agent_id": _PLACE,
    "client.api_scopes": "it is set at the registration",
    "client.auth": "it is set at the registration",
    "client.identifier": _KEY,
    "client.redirect_uris": "it is set at the registration",
    "client.serves": "it is set at the registration",
    "connection.agent_id": _PLACE,
    "connection.client_id": _PLACE,
    "connection.person_id": _PLACE,
    "entitlement.scope": _KEY,
    "entitlement.system_id": _PLACE,
    "connector.system_id": _PLACE,
    **{f"guardrailversion.{name}": "a version is written once" for name in _OF_VERSION},
    "issuedtoken.agent_id": _ISSUED,
    "issuedtoken.client_id": _ISSUED,
    "issuedtoken.expires_at": _ISSUED,
    "issuedtoken.family": _ISSUED,
    "issuedtoken.issued_at": _ISSUED,
    "issuedtoken.kind": _ISSUED,
    "issuedtoken.parent": _ISSUED,
    "issuedtoken.person_id": _ISSUED,
    "issuedtoken.scope": _ISSUED,
    "issuedtoken.session_id": _ISSUED,
    "issuedtoken.system_id": _ISSUED,
    "issuedtoken.trace": _ISSUED,
    "person.login": _KEY,
    "restapi.system_id": _PLACE,
    "session.acr": _BEGUN,
    "session.agent_id": _BEGUN,
    "session.amr": _BEGUN,
    "session.auth_time": _BEGUN,
    "session.client_id": _BEGUN,
    "session.expires_at": _BEGUN,
    "session.idle_seconds": _BEGUN,
    "session.labels": _BEGUN,
    "session.last_used_at": "use makes a session last longer, and takes nothing away",
    "session.person_id": _BEGUN,
    "session.trace": _BEGUN,
    "session.sign_in_sha256": _BEGUN,
    "session.signed_in_at": _BEGUN,
    "session.started_at": _BEGUN,
    **{
        f"sessionpolicy.{column}": "a proposal is written once"
        for column in (
            *("absolute_seconds", "acr", "agent_kind", "amr", "idle_seconds", "max_age_seconds", "name", "risk"),
            *("renews_without_sign_in", "system_id"),
        )
    },
    "stdiosystem.arguments": "it is set at the registration",
    "stdiosystem.command": "it is set at the registration",
    "stdiosystem.is_shared": "it is set at the registration",
    "system.kind": "it is set at the registration",
    "system.slug": _KEY,
    "systemnetwork.company_ca": "a proposal is written once",
    "systemnetwork.prefixes": "a proposal is written once",
    "systemnetwork.relayed": "a proposal is written once",
    "systemnetwork.system_id": _PLACE,
    "tool.name": _KEY,
    "tool.primitive": "it follows from the name",
    "tool.system_id": _PLACE,
    "toolversion.definition": "a version of a tool is written once",
    "toolversion.sha256": "a version of a tool is written once",
    "toolversion.tool_id": _PLACE,
    "vendor.system_id": _PLACE,
}
ADDS: Mapping[str, str] = {
    "entitlements_tool": "a tool without an approval gives nothing",
    "entitlements_toolversion": "a version gives nothing until a tool has it as approved, which is noted of the tool",
}
"""Tables of which a new row takes nothing away."""


def statements() -> Iterator[tuple[str, str]]:
    """Yield every statement that this floor writes in SQL, by the name of its constant."""
    for module in pkgutil.walk_packages(entitlements.__path__, "entitlements."):
        if ".migrations." not in module.name:
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, str) and value.lstrip().startswith("SELECT"):
                    yield f"{module.name}.{name}", value


def columns_of(statement: str) -> set[Column]:
    """Ask PostgreSQL which columns of which tables a statement names."""
    text = re.sub(r"%\(\w+\)s|%s", "NULL", statement).replace("%%", "%")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY VIEW asked AS SELECT 1 AS one WHERE EXISTS ({text})")
        cursor.execute("""
            SELECT c.relname, a.attname FROM pg_depend d
            JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace = 'public'::regnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
            WHERE r.ev_class = 'asked'::regclass""")
        found = set(cursor.fetchall())
        transaction.set_rollback(True)
    return found


def edge_columns() -> dict[str, list[str]]:
    """Return what the edge reads: by table, its columns."""
    found = {column for name, text in statements() if name not in ELSEWHERE for column in columns_of(text)}
    tables = sorted({table for table, _ in found} - OWN - NEVER_KEPT.keys())
    return {table: sorted(column for of, column in found if of == table) for table in tables}


def keys() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT i.indrelid::regclass::text, a.attname FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indisprimary""")
        return dict(cursor.fetchall())


def rows(read: Mapping[str, list[str]]) -> Rows:
    """Read all rows of the tables that the edge reads."""
    found: Rows = {}
    by_table = keys()
    with connection.cursor() as cursor:
        for table, columns in read.items():
            picked = ", ".join(f"'{column}', t.\"{column}\"" for column in columns if column != by_table[table])
            names = ", ".join(f"'{column}', ({of})::text" for column, of in NAMED_BY[table].items())
            cursor.execute(
                f"SELECT t.{by_table[table]}::text, jsonb_build_object({picked})::text,"  # noqa: S608 - of this module
                f" jsonb_build_object({names})::text FROM {table} t"
            )
            for key, values, named in cursor.fetchall():
                found[table, key] = (json.loads(values), json.loads(named))
    return found
