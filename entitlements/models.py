"""The rows of floor 2: who may do what, now.

Django looks for the rows of an app here; nothing else imports this module.
"""

from entitlements.agent_discovery.models import DiscoveredEntry, DiscoveryRun, DiscoverySource
from entitlements.agents.models import Agent, AgentTypeRule, AgentVersion
from entitlements.budgets.models import Budget, BudgetUse
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool, ToolVersion
from entitlements.catalog_files.models import CatalogImport
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import (
    AuthorizationCode,
    Client,
    ClientAlias,
    ClientCredential,
    OAuthAccessToken,
    OAuthDeviceGrant,
    OAuthIDToken,
    OAuthRefreshToken,
)
from entitlements.connected_accounts.models import AccountConsent, AccountSignIn, ConnectedAccount
from entitlements.connections.models import Connection
from entitlements.connectors.models import Connector, RelayedDiscovery
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.decoys.models import Decoy, DecoyAgent, DecoyTouch
from entitlements.definition_watch.models import DefinitionWatch
from entitlements.delegation.models import DelegationPermission
from entitlements.drift.models import AgentHour, SessionNetwork
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll, StreamEvent
from entitlements.feed.models import Change, GatewayNode
from entitlements.foreign_tokens.models import ForeignToken, MeasuredEnds
from entitlements.gateway.models import EndedClientSession, Guardrail, UpstreamSession
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.guardrails.models import GuardrailVersion
from entitlements.idempotency.models import IdempotentAnswer
from entitlements.keys.models import SigningKey
from entitlements.name_collisions.models import NameKey
from entitlements.networks.models import ClientCertificate, SystemNetwork
from entitlements.node.isolation.models import SystemPause
from entitlements.node_messages.models import NodeMessage
from entitlements.people.models import ApiToken, Group, GroupMapping, Identity, Membership, Person, Role, RoleAssignment
from entitlements.people_sources.models import PeopleSource, SourcedGroup, SourcedPerson
from entitlements.policy_domains.models import PolicyDomain
from entitlements.proposals.models import Proposal
from entitlements.rest_apis.models import RestApi
from entitlements.revocation.models import Drill, Revocation, RevocationProof
from entitlements.risk.models import RiskDecision, RiskSignal, SecurityEvent, SignalResponse
from entitlements.secrets.models import Secret
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions.models import Session
from entitlements.stdio.models import StdioChild, StdioNode
from entitlements.stdio_commands.models import StdioCommand, StdioSystem
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken, TokenGrant, UsedAssertion
from entitlements.trusted_issuers.models import IssuerKeys, IssuerProposal, TrustedIssuer
from entitlements.unmanaged_agents.models import PathTerms, UnmanagedAgent, Workflow
from entitlements.vendors.models import Vendor, VendorSubject
from entitlements.workload_identity.models import WorkloadRule

__all__ = [
    "AccountConsent",
    "AccountSignIn",
    "Agent",
    "AgentHour",
    "AgentTypeRule",
    "AgentVersion",
    "ApiToken",
    "AuthorizationCode",
    "Budget",
    "BudgetUse",
    "CatalogImport",
    "Change",
    "Client",
    "ClientAlias",
    "ClientCertificate",
    "ClientCredential",
    "ClientDocument",
    "ClientHost",
    "ConnectedAccount",
    "Connection",
    "Connector",
    "CredentialPolicy",
    "Decoy",
    "DecoyAgent",
    "DecoyTouch",
    "DefinitionWatch",
    "DelegationPermission",
    "DiscoveredEntry",
    "DiscoveryRun",
    "DiscoverySource",
    "Drill",
    "EndedClientSession",
    "Entitlement",
    "EntitlementTool",
    "EventReceiver",
    "EventStream",
    "ForeignToken",
    "GatewayNode",
    "Grant",
    "GrantLine",
    "GrantSubject",
    "Group",
    "GroupMapping",
    "Guardrail",
    "GuardrailVersion",
    "IdempotentAnswer",
    "Identity",
    "IssuedToken",
    "IssuerKeys",
    "IssuerProposal",
    "MeasuredEnds",
    "Membership",
    "NameKey",
    "NodeMessage",
    "OAuthAccessToken",
    "OAuthDeviceGrant",
    "OAuthIDToken",
    "OAuthRefreshToken",
    "PathTerms",
    "PeopleSource",
    "Person",
    "PolicyDomain",
    "Proposal",
    "RelayedDiscovery",
    "RestApi",
    "Revocation",
    "RevocationProof",
    "RiskDecision",
    "RiskSignal",
    "Role",
    "RoleAssignment",
    "Secret",
    "SecurityEvent",
    "Session",
    "SessionNetwork",
    "SessionPolicy",
    "SignalPoll",
    "SignalResponse",
    "SigningKey",
    "SourcedGroup",
    "SourcedPerson",
    "StdioChild",
    "StdioCommand",
    "StdioNode",
    "StdioSystem",
    "StreamEvent",
    "System",
    "SystemNetwork",
    "SystemPause",
    "TokenFamily",
    "TokenGrant",
    "Tool",
    "ToolVersion",
    "TrustedIssuer",
    "UnmanagedAgent",
    "UpstreamSession",
    "UsedAssertion",
    "Vendor",
    "VendorSubject",
    "Workflow",
    "WorkloadRule",
]
