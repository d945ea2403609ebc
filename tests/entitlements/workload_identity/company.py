"""A company whose agent runs as a job: an issuer and a rule for each platform, keys pinned, a grant of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwk
from joserfc import jws as compact

from audit.context import SYSTEM
from audit.models import StrangerCount
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.edge import client_authentication
from entitlements.edge.grant_types import jwt_bearer
from entitlements.grants.models import Grant
from entitlements.keys import jws
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.models import WorkloadRule
from entitlements.workload_identity.platforms import Platform
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World
from tests.entitlements.workload_identity import tokens

TYPS: Final[dict[Platform, str | None]] = {
    Platform.GITHUB: "JWT",
    Platform.KUBERNETES: None,
    Platform.SPIFFE: "JOSE",
    Platform.JWT: "JWT",
}


@dataclass
class Company:
    """`keys` sign for the issuer of each platform; `rules` make its workloads the client of the agent."""

    world: World
    client: Client
    grant: Grant
    keys: dict[Platform, jws.Key] = field(default_factory=dict)
    issuers: dict[Platform, TrustedIssuer] = field(default_factory=dict)
    rules: dict[Platform, WorkloadRule] = field(default_factory=dict)

    @property
    def system(self) -> System:
        return self.world.system

    @property
    def endpoint(self) -> str:
        return f"{addresses.endpoints(addresses.issuer_path(self.system.slug))}/token"

    def token(self, platform: Platform, *, key: jws.Key | None = None, typ: str | None = "", **changed: Any) -> str:  # noqa: ANN401
        """Return a token of the platform, signed and typed as the platform does."""
        claims = tokens.claims(platform, changed.pop("audience", self.endpoint), **changed)
        return signed(claims, key or self.keys[platform], TYPS[platform] if typ == "" else typ)

    def redeem(self, assertion: str, **form: str | None) -> Answer:
        usual = {"grant_type": jwt_bearer.GRANT, "assertion": assertion, "resource": self.world.resource}
        sent = {name: value for name, value in {**usual, **form}.items() if value is not None}
        return self.world.post(f"/as/{self.system.slug}/token", sent)

    def svid(self, assertion: str, path: str = "", **form: str | None) -> Answer:
        """Authenticate the client by a JWT-SVID, and ask for a token of its own."""
        usual = {
            "grant_type": "client_credentials",
            "client_assertion_type": client_authentication.SPIFFE,
            "client_assertion": assertion,
        }
        sent = {name: value for name, value in {**usual, **form}.items() if value is not None}
        return self.world.post(path or f"/as/{self.system.slug}/token", sent)


def signed(claims: dict[str, Any], key: jws.Key, typ: str | None) -> str:
    """Sign as the platforms do: some write no `typ`."""
    return jws.sign(claims, key, typ) if typ is not None else _untyped(claims, key)


def _untyped(claims: dict[str, Any], key: jws.Key) -> str:
    header = {"alg": key.algorithm, "kid": key.kid}
    return compact.serialize_compact(header, json.dumps(claims), key.material, algorithms=[key.algorithm])


def rsa_key(kid: str) -> jws.Key:
    return jws.Key(kid, "RS256", jwk.RSAKey.generate_key(2048, parameters={"kid": kid, "use": "sig", "alg": "RS256"}))


def bundle(*keys: jws.Key) -> dict[str, Any]:
    """Return a SPIFFE bundle: keys of JWT-SVIDs, beside one of X.509-SVIDs."""
    svids = [{**_public(key), "use": "jwt-svid"} for key in keys]
    other = {**_public(worlds.new_key("x")), "use": "x509-svid"}
    return {"keys": [other, *svids], "spiffe_sequence": 10, "spiffe_refresh_hint": 300}


def _public(key: jws.Key) -> dict[str, Any]:
    found: dict[str, Any] = dict(key.material.as_dict(private=False))
    return {name: value for name, value in found.items() if name not in {"use", "alg"}}


def company() -> Company:
    world = worlds.world()
    made = make.client(world.agent, "expense-job", auth=Client.Auth.WORKLOAD_IDENTITY)[0]
    here = Company(world, made, make.grant(world.agent, world.entitlement))
    for platform in Platform:
        trust_platform(here, platform)
        here.rules[platform] = rule(here, platform)
    return here


def trust_platform(here: Company, platform: Platform, *, jwks_uri: str = "") -> TrustedIssuer:
    """Trust the platform's issuer, its keys pinned or fetched. Kubernetes and SPIRE hand one token out again."""
    key = rsa_key(platform) if platform in (Platform.GITHUB, Platform.KUBERNETES) else worlds.new_key(platform)
    here.keys[platform] = key
    here.issuers[platform] = trust.begin(
        tokens.ISSUERS[platform],
        purpose=TrustedIssuer.Purpose.WORKLOAD,
        jwks_uri=jwks_uri,
        jwks=None if jwks_uri else bundle(key) if platform is Platform.SPIFFE else worlds.key_set(key),
        algorithms=[key.algorithm],
        strict_single_use=platform in (Platform.GITHUB, Platform.JWT),
        by=SYSTEM,
    )
    return here.issuers[platform]


def rule(
    here: Company, platform: Platform, claims: dict[str, str] | None = None, *, client: Client | None = None
) -> WorkloadRule:
    """Have the agent's sponsor ask for a rule, so that it works at once."""
    made = workload_rules.propose(
        client or here.client,
        issuer=tokens.ISSUERS[platform],
        platform=platform,
        claims=claims or tokens.RULES[platform],
        by=here.world.agent.sponsor.principal,
    )
    assert made.rule is not None
    return made.rule


def is_a_stranger(answer: Answer, code: str, before: tuple[int, ...]) -> bool:
    """Say whether an attempt was refused and counted, and left nothing else behind."""
    assert answer.error == (400, "invalid_grant", code)
    assert "evaluation_id" not in answer.body
    assert worlds.refusals() == []
    assert worlds.standing() == before
    return StrangerCount.objects.filter(kind=code).count() == 1


def is_recorded_once(answer: Answer, code: str, rule: object = None) -> bool:
    """Say whether an attempt was refused with one event about the workload's client and rule."""
    assert answer.body["code"] == code, answer.body
    event, *others = worlds.refusals()
    assert not others
    assert answer.body["evaluation_id"] == str(event.uuid)
    assert event.code == code
    return event.actor == "agent:expense-bot" and (rule is None or f"workload_rule:{rule}" in event.links)
