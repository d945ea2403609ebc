"""The addresses of floor 2 under /api/v1, without trailing slashes: a POST must never be redirected."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path
from rest_framework.views import APIView

from . import (
    agents,
    bulk,
    bundles,
    clientcredentials,
    clients,
    docs,
    grants,
    imports,
    keys,
    me,
    people,
    plans,
    record,
    revocations,
    sessions,
    systems,
    tools,
)

PREFIX: Final = "api/v1/"


def at(address: str, view: type[APIView], name: str) -> URLPattern:
    """Place a view under the prefix; its name is its row in the matrix."""
    return path(PREFIX + address, view.as_view(), name=name)


_TOOL: Final = "tools/<slug:system>/<str:name>"

urlpatterns: list[URLPattern] = [
    at("schema", docs.SchemaView, "api-schema"),
    at("docs", docs.DocsView, "api-docs"),
    at("me", me.Me, "me"),
    at("bulk/agents/suspend", bulk.SuspendAgents, "agents-suspend"),  # an agent may be called anything
    at("bulk/agents/retire", bulk.RetireAgents, "agents-retire"),
    at("agents", agents.Agents, "agents"),
    at("agents/<slug:key>", agents.One, "agent"),
    at("agents/<slug:key>/activate", agents.Activate, "agent-activate"),
    at("agents/<slug:key>/criticality", agents.Criticality, "agent-criticality"),
    at("agents/<slug:key>/versions", agents.Versions, "agent-versions"),
    at("agents/<slug:key>/suspend", agents.Suspend, "agent-suspend"),
    at("agents/<slug:key>/restore", agents.Restore, "agent-restore"),
    at("agents/<slug:key>/retire", agents.Retire, "agent-retire"),
    at("agent-kinds", agents.Kinds, "kinds-of-agents"),
    at("agent-kinds/<slug:key>", agents.Kind, "kind-of-agents"),
    at("people", people.People, "people"),
    at("people/<slug:key>", people.OnePerson, "person"),
    at("people/<slug:key>/give-role", people.GiveRole, "person-role-give"),
    at("people/<slug:key>/take-role", people.TakeRole, "person-role-take"),
    at("people/<slug:key>/disable", people.Disable, "person-disable"),
    at("people/<slug:key>/enable", people.Enable, "person-enable"),
    at("groups", people.Groups, "groups"),
    at("groups/<slug:key>", people.OneGroup, "group"),
    at("groups/<slug:key>/join", people.Join, "group-join"),
    at("groups/<slug:key>/leave", people.Leave, "group-leave"),
    at("systems", systems.Systems, "systems"),
    at("systems/<slug:key>", systems.One, "system"),
    at("systems/<slug:key>/discover", systems.Discover, "system-discover"),
    at("systems/<slug:key>/disable", systems.Disable, "system-disable"),
    at("systems/<slug:key>/enable", systems.Enable, "system-enable"),
    at("systems/<slug:key>/secret", systems.Credential, "system-secret"),
    at("systems/<slug:key>/test", systems.Test, "system-test"),
    at("imports", imports.Imports, "imports"),
    at("imports/<uuid:key>", imports.One, "import"),
    at("imports/<uuid:key>/confirm", imports.Confirm, "import-confirm"),
    at("catalogue/plan", plans.PlanCatalogue, "catalogue-plan"),
    at("catalogue/apply", plans.ApplyCatalogue, "catalogue-apply"),
    at("tools", tools.Tools, "tools"),
    at("tools/approve", bulk.ApproveTools, "tools-approve"),
    at("tools/disable", bulk.DisableTools, "tools-disable"),
    at(_TOOL, tools.One, "tool"),
    at(f"{_TOOL}/approve", tools.Approve, "tool-approve"),
    at(f"{_TOOL}/quarantine", tools.Quarantine, "tool-quarantine"),
    at(f"{_TOOL}/disable", tools.Disable, "tool-disable"),
    at(f"{_TOOL}/enable", tools.Enable, "tool-enable"),
    at("entitlements", bundles.Entitlements, "entitlements"),
    at("entitlements/<str:key>", bundles.One, "entitlement"),
    at("grants", grants.Grants, "grants"),
    at("grants/revoke", bulk.RevokeGrants, "grants-revoke"),
    at("grants/<uuid:key>", grants.One, "grant"),
    at("grants/<uuid:key>/revoke", grants.Revoke, "grant-revoke"),
    at("grants/<uuid:key>/suspend", grants.Suspend, "grant-suspend"),
    at("grants/<uuid:key>/restore", grants.Restore, "grant-restore"),
    at("sessions", sessions.Sessions, "sessions"),
    at("sessions/<uuid:key>", sessions.OneSession, "session"),
    at("sessions/<uuid:key>/end", sessions.End, "session-end"),
    at("tokens", sessions.Tokens, "tokens"),
    at("tokens/<uuid:key>", sessions.OneToken, "token"),
    at("tokens/<uuid:key>/revoke", sessions.Revoke, "token-revoke"),
    at("clients", clients.Clients, "clients"),
    at("clients/<str:key>", clients.One, "client"),
    at("clients/<str:key>/disable", clients.Disable, "client-disable"),
    at("clients/<str:key>/enable", clients.Enable, "client-enable"),
    at("clients/<str:key>/secret", clients.Rotate, "client-secret"),
    at("client-credentials", clientcredentials.Credentials, "client-credentials"),
    at("client-credentials/<uuid:key>", clientcredentials.One, "client-credential"),
    at("client-credentials/<uuid:key>/accept", clientcredentials.Accept, "client-credential-accept"),
    at("client-credentials/<uuid:key>/refuse", clientcredentials.Refuse, "client-credential-refuse"),
    at("revocations", revocations.Revocations, "revocations"),
    at("revocations/everything/restore", revocations.RestoreEverything, "revocations-everything-restore"),
    at("revocations/<uuid:key>", revocations.One, "revocation"),
    at("audit-events", record.Events, "audit-events"),
    at("audit/checkpoint", record.LatestCheckpoint, "audit-checkpoint"),
    at("audit/export", record.Export, "audit-export"),
    at("audit/proofs/<int:index>", record.Proof, "audit-proof"),
    at("keys", keys.Keys, "keys"),
    at("keys/rotate", keys.Rotate, "key-rotate"),
    at("keys/<str:key>/withdraw", keys.Withdraw, "key-withdraw"),
]
