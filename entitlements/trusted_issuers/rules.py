"""How the tokens of one trusted issuer are read: whose they are, for which client, and how the person signed in. Pure.

Providers name the same things differently. Okta and Entra put the client's identifier at the provider into `aud`,
Keycloak adds audiences and names the client in `azp`, Entra keeps the person in `oid` because `sub` differs by client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from entitlements.keys import jws

SUBJECT: Final = "sub"
TENANT: Final = "tenant"
"""The claim in which an ID-JAG names the tenant of a multi-tenant issuer (ID-JAG draft -04)."""
REASSIGNED: Final = frozenset(
    {"email", "name", "nickname", "preferred_username", "unique_name", "upn", "login", "username", "phone_number"}
)
"""Claims that may pass to another person, so that they never say who somebody is (OpenID Connect Core 5.7)."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What was confirmed about the tokens of one issuer; by default they are read as the specifications say.

    `clients` maps the issuer's names of clients to ours, and with it no other name counts. `other_audiences` may stand
    beside the client in an ID token. `contexts` maps the issuer's `acr` to ours. Without `tenant_claim` there are no
    tenants.
    """

    clients: Mapping[str, str] = field(default_factory=dict)
    other_audiences: frozenset[str] = frozenset()
    subject_claim: str = SUBJECT
    tenant_claim: str = ""
    tenants: frozenset[str] = frozenset()
    contexts: Mapping[str, str] = field(default_factory=dict)

    def client_of_id_token(self, claims: Mapping[str, Any]) -> str:
        """Return our name of the client that an ID token was issued to; empty where it is none of ours (EMA-I-4).

        Raises BadToken for audiences that nobody confirmed, and where `azp` names another client than they do
        (OpenID Connect Core 3.1.3.7, points 3 to 5).
        """
        if not self.clients and not self.other_audiences:
            return jws.sole_audience(claims)
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        own = [each for each in audiences if not (isinstance(each, str) and each in self.other_audiences)]
        audience = jws.sole_audience({"aud": own})
        presenter = claims.get("azp", audience if len(audiences) == 1 else None)
        if presenter != audience:
            raise jws.BadToken("The token's azp does not name the client in its audience.")
        return self.clients.get(audience, "") if self.clients else audience

    def is_id_jag_for(self, claims: Mapping[str, Any], client_id: str, name_here: str) -> bool:
        """Whether an ID-JAG names the authenticated client, which has `name_here` at this server (EMA-R-4)."""
        named = claims.get("client_id")
        if not self.clients:
            return bool(named == name_here)
        return isinstance(named, str) and self.clients.get(named) == client_id

    def subject(self, claims: Mapping[str, Any]) -> str:
        """Return the key of the person: the subject, of a multi-tenant issuer with its tenant before it (EMA-R-15).

        A tenant holds no space, so that no two pairs make one key. Raises BadToken, also where the tenant is missing
        or was not confirmed.
        """
        subject = jws.text(claims, self.subject_claim)
        return key_of(self._tenant(claims), subject) if self.tenant_claim else subject

    def subject_of_id_jag(self, claims: Mapping[str, Any]) -> str:
        """Return the key as `subject` does. Raises BadToken besides for a tenant of an issuer that has none here."""
        if not self.tenant_claim and TENANT in claims:
            raise jws.BadToken("The assertion names a tenant, and its issuer is not trusted for tenants here.")
        return self.subject(claims)

    def signed_in(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the claims with the issuer's `acr` in our words, where the map has it."""
        named = claims.get("acr")
        ours = self.contexts.get(named) if isinstance(named, str) else None
        return claims if ours is None else {**claims, "acr": ours}

    def _tenant(self, claims: Mapping[str, Any]) -> str:
        named = [claims[name] for name in dict.fromkeys((self.tenant_claim, TENANT)) if name in claims]
        tenant = named[0] if named else None
        if not isinstance(tenant, str) or tenant not in self.tenants or named[-1] != tenant:
            raise jws.BadToken("The token names no tenant of its issuer that is trusted here.")
        return tenant


USUAL: Final = TokenRules()


def key_of(tenant: str, subject: str) -> str:
    """Return under which subject the link of a person at a tenant is kept."""
    return f"{tenant} {subject}"
