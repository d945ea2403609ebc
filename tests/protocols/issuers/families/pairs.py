"""Two things at once: each grant type with each way of authenticating at each endpoint, and two faults in one request.

Which of two faults is answered says in which order they are looked for; a client may rely on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from entitlements.edge.grant_types import exchange, jwt_bearer
from tests.protocols.issuers import bases, drafts
from tests.protocols.issuers.bases import Base
from tests.protocols.issuers.cases import Case
from tests.protocols.issuers.drafts import Change, again, content_type, drop, header, method, put
from tests.protocols.issuers.families.clients import METHODS

GRANTS: Final[dict[str, tuple[tuple[str, drafts.Value], ...]]] = {
    "token exchange": bases.EXCHANGE.form,
    "jwt-bearer": (("grant_type", jwt_bearer.GRANT), ("assertion", lambda scene: scene.id_jag().text())),
    "client_credentials": (("grant_type", "client_credentials"),),
    "authorization_code": bases.CODE.form,
    "refresh_token": (("grant_type", "refresh_token"), ("refresh_token", "x")),
    "password": (("grant_type", "password"), ("username", "alice"), ("password", "x")),
    "device_code": (("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", "x")),
    "in upper case": (("grant_type", exchange.GRANT.upper()),),
    "unknown": (("grant_type", "something-else"),),
    "none": (("scope", "time:read"),),
}
ENDPOINTS: Final = ("/idp/token", "/as/time/token", "/as/maps/token", "/as/mandate/token", "/as/unknown/token")
FEW: Final = ("key", "basic", "post, wrong", "public", "nobody", "no agent's")

FAULTS: Final[dict[str, Change]] = {
    "method": method("GET"),
    "content type": content_type("application/json"),
    "parameter twice": again("extra", "1"),
    "DPoP": header("DPoP", "x"),
    "credentials": drafts.by_basic(secret="wrong"),
    "no credentials": drafts.no_credentials,
    "disabled client": drafts.by_basic("off-secret-client"),
    "no agent": drafts.by_basic("script-client"),
    "no grant type": drop("grant_type"),
    "unknown grant type": put("grant_type", "something-else"),
    "authorization_details": put("authorization_details", "[]"),
    "scope malformed": put("scope", '"'),
    "scope not held": put("scope", "time:write"),
    "resource": put("resource", "https://example.org/mcp"),
    "audience": put("audience", "https://as.example.org"),
    "token": put("token", "a.b.c"),
    "subject_token": put("subject_token", "a.b.c"),
    "assertion": put("assertion", "a.b.c"),
    "subject of another client": put("subject_token", lambda scene: scene.id_token(aud="other-client").text()),
    "code": put("code", "unknown"),
    "verifier": drop("code_verifier"),
}
_ONLY: Final = {
    "audience": {"exchange"},
    "subject_token": {"exchange"},
    "subject of another client": {"exchange"},
    "assertion": {"redeem"},
    "code": {"code"},
    "verifier": {"code"},
    "token": {"introspect", "revoke an ID-JAG"},
    "scope malformed": {"exchange", "redeem", "alone"},
    "scope not held": {"exchange", "redeem", "alone"},
    "resource": {"exchange", "redeem", "alone"},
    "authorization_details": {"exchange", "redeem"},
    "no grant type": {"exchange", "redeem", "alone", "code"},
    "unknown grant type": {"exchange", "redeem", "alone", "code"},
}
BASES: Final = (bases.EXCHANGE, bases.REDEEM, bases.ALONE, bases.CODE, bases.INTROSPECT, bases.REVOKE_JAG)
STATES: Final = ("everything stopped", "person disabled", "system disabled", "agent suspended", "grants suspended")


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for endpoint, (grant, form) in itertools.product(ENDPOINTS, GRANTS.items()):
        for auth in METHODS if endpoint in ENDPOINTS[:2] else FEW:
            base = Base(grant, endpoint, form, METHODS[auth])
            yield Case("grant", f"{grant}, {auth}, {endpoint}", base)
    for base in BASES:
        faults = [name for name in FAULTS if base.name in _ONLY.get(name, {base.name})]
        for one, other in itertools.combinations(faults, 2):
            yield Case("two faults", f"{base.name}, {one} and {other}", base, (FAULTS[one], FAULTS[other]))
        for fault, state in itertools.product(faults, STATES[:2]):
            yield Case("fault and state", f"{base.name}, {fault}, {state}", base, (FAULTS[fault],), state)
    for base in BASES[:3]:
        for one, other in itertools.combinations(STATES, 2):
            yield Case("two states", f"{base.name}, {one} and {other}", base, (), f"{one} + {other}")
