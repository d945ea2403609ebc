"""The addresses of floor 2 under /api/v1, without trailing slashes: a POST must never be redirected."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path
from rest_framework.views import APIView

from entitlements.agents import api as agent_api
from entitlements.catalog.addresses import TOOL
from entitlements.catalog.api import entitlements as entitlements_api
from entitlements.catalog.api import systems, tools
from entitlements.catalog_files.api import imports, plans
from entitlements.client_documents import api as client_documents
from entitlements.clients.api import clients
from entitlements.clients.api import credentials as credentials_api
from entitlements.connected_accounts import api as connected_accounts
from entitlements.connections import api as connections_api
from entitlements.connectors import api as connectors
from entitlements.delegation import api as delegation_api
from entitlements.drift import api as drift_api
from entitlements.event_streams import api as event_streams
from entitlements.grants import api as grant_api
from entitlements.keys import api as key_api
from entitlements.networks import api as networks
from entitlements.people import api as people_api
from entitlements.policy_domains import api as policy_domains
from entitlements.proposals import api as proposals
from entitlements.rest_apis import api as rest_apis
from entitlements.revocation import api as revocation_api
from entitlements.risk import api as risk_api
from entitlements.sessions import api as session_api
from entitlements.stdio_commands import api as stdio_commands
from entitlements.token_families import api as token_family_api
from entitlements.trusted_issuers import api as trusted_issuers
from entitlements.vendors.api import vendors
from entitlements.workload_identity import api as workload_identity

from . import bulk, docs, record

PREFIX: Final = "api/v1/"


def at(address: str, view: type[APIView], name: str) -> URLPattern:
    """Place a view under the prefix; its name is its row in the matrix."""
    return path(PREFIX + address, view.as_view(), name=name)


_TOOL: Final = f"tools/<slug:system>/{TOOL}"

urlpatterns: list[URLPattern] = [
    at("schema", docs.SchemaView, "api-schema"),
    at("docs", docs.DocsView, "api-docs"),
    at("me", people_api.Me, "me"),
    at("bulk/agents/suspend", bulk.SuspendAgents, "agents-suspend"),  # an agent may be called anything
    at("bulk/agents/retire", bulk.RetireAgents, "agents-retire"),
    at("agents", agent_api.Agents, "agents"),
    at("agents/<slug:key>", agent_api.One, "agent"),
    at("agents/<slug:key>/activate", agent_api.Activate, "agent-activate"),
    at("agents/<slug:key>/criticality", agent_api.Criticality, "agent-criticality"),
    at("agents/<slug:key>/versions", agent_api.Versions, "agent-versions"),
    at("agents/<slug:key>/delegates", delegation_api.Delegates, "agent-delegates"),
    at("delegations/<uuid:key>/withdraw", delegation_api.Withdraw, "delegation-withdraw"),
    at("agents/<slug:key>/suspend", agent_api.Suspend, "agent-suspend"),
    at("agents/<slug:key>/restore", agent_api.Restore, "agent-restore"),
    at("agents/<slug:key>/retire", agent_api.Retire, "agent-retire"),
    at("agent-kinds", agent_api.Kinds, "kinds-of-agents"),
    at("agent-kinds/<slug:key>", agent_api.Kind, "kind-of-agents"),
    at("people", people_api.People, "people"),
    at("people/<slug:key>", people_api.PersonDetail, "person"),
    at("people/<slug:key>/give-role", people_api.GiveRole, "person-role-give"),
    at("people/<slug:key>/take-role", people_api.TakeRole, "person-role-take"),
    at("people/<slug:key>/disable", people_api.Disable, "person-disable"),
    at("people/<slug:key>/enable", people_api.Enable, "person-enable"),
    at("people/<slug:key>/erase", people_api.Erase, "person-erase"),
    at("groups", people_api.Groups, "groups"),
    at("groups/<slug:key>", people_api.GroupDetail, "group"),
    at("groups/<slug:key>/join", people_api.Join, "group-join"),
    at("groups/<slug:key>/leave", people_api.Leave, "group-leave"),
    at("systems", systems.Systems, "systems"),
    at("systems/<slug:key>", systems.One, "system"),
    at("systems/<slug:key>/discover", systems.Discover, "system-discover"),
    at("systems/<slug:key>/disable", systems.Disable, "system-disable"),
    at("systems/<slug:key>/enable", systems.Enable, "system-enable"),
    at("systems/<slug:key>/secret", systems.Credential, "system-secret"),
    at("systems/<slug:key>/client-certificate", systems.SetCertificate, "system-client-certificate"),
    at("systems/<slug:key>/client-certificate/forget", systems.ForgetCertificate, "system-client-certificate-forget"),
    *(at(*address) for address in (*networks.ADDRESSES, *connectors.ADDRESSES, *connected_accounts.ADDRESSES)),
    at("systems/<slug:key>/test", systems.Test, "system-test"),
    at("systems/<slug:key>/vendor", vendors.Terms, "system-vendor"),
    at("systems/<slug:key>/client-ids", vendors.ClientName, "system-client-id"),
    at("systems/<slug:key>/subjects", vendors.PersonName, "system-subject"),
    at("systems/<slug:key>/test-client", vendors.TestClient, "system-test-client"),
    at("systems/<slug:key>/test-trust", vendors.TestTrust, "system-test-trust"),
    at("systems/<slug:key>/tools", vendors.DeclareTools, "system-declare-tools"),
    *(at(*address) for address in (*rest_apis.ADDRESSES, *policy_domains.ADDRESSES)),
    at("imports", imports.Imports, "imports"),
    at("imports/<uuid:key>", imports.One, "import"),
    at("imports/<uuid:key>/confirm", imports.Confirm, "import-confirm"),
    at("catalog/plan", plans.PlanCatalog, "catalogue-plan"),
    at("catalog/apply", plans.ApplyCatalog, "catalogue-apply"),
    *(at(*address) for address in proposals.ADDRESSES),
    at("tools", tools.Tools, "tools"),
    at("tools/approve", bulk.ApproveTools, "tools-approve"),
    at("tools/disable", bulk.DisableTools, "tools-disable"),
    at(_TOOL, tools.One, "tool"),
    at(f"{_TOOL}/approve", tools.Approve, "tool-approve"),
    at(f"{_TOOL}/quarantine", tools.Quarantine, "tool-quarantine"),
    at(f"{_TOOL}/disable", tools.Disable, "tool-disable"),
    at(f"{_TOOL}/enable", tools.Enable, "tool-enable"),
    at("entitlements", entitlements_api.Entitlements, "entitlements"),
    at("entitlements/<str:key>", entitlements_api.One, "entitlement"),
    at("grants", grant_api.Grants, "grants"),
    at("grants/revoke", bulk.RevokeGrants, "grants-revoke"),
    at("grants/<uuid:key>", grant_api.One, "grant"),
    at("grants/<uuid:key>/revoke", grant_api.Revoke, "grant-revoke"),
    at("grants/<uuid:key>/suspend", grant_api.Suspend, "grant-suspend"),
    at("grants/<uuid:key>/restore", grant_api.Restore, "grant-restore"),
    at("sessions", session_api.Sessions, "sessions"),
    at("sessions/<uuid:key>", session_api.SessionDetail, "session"),
    at("sessions/<uuid:key>/end", session_api.End, "session-end"),
    at("tokens", session_api.Tokens, "tokens"),
    at("tokens/<uuid:key>", session_api.TokenDetail, "token"),
    at("tokens/<uuid:key>/revoke", session_api.Revoke, "token-revoke"),
    at("connections", connections_api.Connections, "connections"),
    at("connections/<uuid:key>", connections_api.ConnectionDetail, "connection"),
    at("connections/<uuid:key>/end", connections_api.End, "connection-end"),
    at("token-families", token_family_api.TokenFamilies, "token-families"),
    at("token-families/<uuid:key>", token_family_api.TokenFamilyDetail, "token-family"),
    at("token-families/<uuid:key>/revoke", token_family_api.Revoke, "token-family-revoke"),
    at("clients", clients.Clients, "clients"),
    at("clients/<path:key>/disable", clients.Disable, "client-disable"),
    at("clients/<path:key>/enable", clients.Enable, "client-enable"),
    at("clients/<path:key>/secret", clients.Rotate, "client-secret"),
    at("clients/<path:key>/keys", clients.Keys, "client-keys"),
    at("clients/<path:key>/rotation/revoke", clients.RevokeRotation, "client-rotation-revoke"),
    at("clients/<path:key>", clients.One, "client"),
    *(at(*address) for address in (*client_documents.ADDRESSES, *trusted_issuers.ADDRESSES, *stdio_commands.ADDRESSES)),
    at("client-credentials", credentials_api.Credentials, "client-credentials"),
    at("client-credentials/<uuid:key>", credentials_api.One, "client-credential"),
    at("client-credentials/<uuid:key>/accept", credentials_api.Accept, "client-credential-accept"),
    at("client-credentials/<uuid:key>/refuse", credentials_api.Refuse, "client-credential-refuse"),
    *(at(*address) for address in (*workload_identity.ADDRESSES, *risk_api.ADDRESSES, *drift_api.ADDRESSES)),
    *(at(*address) for address in event_streams.ADDRESSES),
    at("revocations", revocation_api.Revocations, "revocations"),
    at("revocations/everything/restore", revocation_api.RestoreEverything, "revocations-everything-restore"),
    at("revocations/effect", revocation_api.Effect, "revocation-effect"),
    at("revocations/<uuid:key>", revocation_api.One, "revocation"),
    at("revocations/<uuid:key>/prove", revocation_api.Prove, "revocation-prove"),
    at("drills", revocation_api.Drills, "drills"),
    at("drills/<uuid:key>", revocation_api.OneDrill, "drill"),
    at("audit-events", record.Events, "audit-events"),
    at("audit/checkpoint", record.LatestCheckpoint, "audit-checkpoint"),
    at("audit/export", record.Export, "audit-export"),
    at("audit/proofs/<int:index>", record.Proof, "audit-proof"),
    at("keys", key_api.Keys, "keys"),
    at("keys/rotate", key_api.Rotate, "key-rotate"),
    at("keys/<str:key>/withdraw", key_api.Withdraw, "key-withdraw"),
]
