"""The rows of floor 2: who may do what, now."""

from .catalog import Agent, AgentVersion, Entitlement, EntitlementTool, KindRule, System, Tool, ToolVersion
from .clients import (
    AuthorizationCode,
    Client,
    ClientAlias,
    ClientCredential,
    OAuthAccessToken,
    OAuthDeviceGrant,
    OAuthIDToken,
    OAuthRefreshToken,
)
from .feed import Change, GatewayNode, Guardrail, Hold, Revocation, UpstreamSession
from .grants import Grant, GrantLine, GrantSubject
from .imports import CatalogueImport
from .keys import Secret, SigningKey
from .people import ApiToken, Group, Identity, Membership, Person, Role, RoleAssignment, TrustedIssuer
from .rolemaps import RoleMapping
from .sources import PeopleSource, SourcedGroup, SourcedPerson
from .tokens import IdempotentAnswer, IssuedToken, Session, TokenGrant, UsedAssertion
from .workflows import PathTerms, SeenAgent, Workflow

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
