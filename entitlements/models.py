"""The rows of floor 2: who may do what, now.

Django looks for the rows of an app here; nothing else imports this module.
"""

from entitlements.agents.models import Agent, AgentVersion, KindRule
from entitlements.api.models import IdempotentAnswer
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool, ToolVersion
from entitlements.catalog_files.models import CatalogueImport
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
from entitlements.feed.models import Change, GatewayNode
from entitlements.gateway.models import Guardrail, Hold, UpstreamSession
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.keys.models import SigningKey
from entitlements.people.models import (
    ApiToken,
    Group,
    Identity,
    Membership,
    PeopleSource,
    Person,
    Role,
    RoleAssignment,
    RoleMapping,
    SourcedGroup,
    SourcedPerson,
)
from entitlements.revocation.models import Revocation
from entitlements.secrets.models import Secret
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken, TokenGrant, UsedAssertion
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.unmanaged_agents.models import PathTerms, SeenAgent, Workflow

__all__ = [
    "Agent",
    "AgentVersion",
    "ApiToken",
    "AuthorizationCode",
    "CatalogueImport",
    "Change",
    "Client",
    "ClientAlias",
    "ClientCredential",
    "Entitlement",
    "EntitlementTool",
    "GatewayNode",
    "Grant",
    "GrantLine",
    "GrantSubject",
    "Group",
    "Guardrail",
    "Hold",
    "IdempotentAnswer",
    "Identity",
    "IssuedToken",
    "KindRule",
    "Membership",
    "OAuthAccessToken",
    "OAuthDeviceGrant",
    "OAuthIDToken",
    "OAuthRefreshToken",
    "PathTerms",
    "PeopleSource",
    "Person",
    "Revocation",
    "Role",
    "RoleAssignment",
    "RoleMapping",
    "Secret",
    "SeenAgent",
    "Session",
    "SigningKey",
    "SourcedGroup",
    "SourcedPerson",
    "System",
    "TokenGrant",
    "Tool",
    "ToolVersion",
    "TrustedIssuer",
    "UpstreamSession",
    "UsedAssertion",
    "Workflow",
]
