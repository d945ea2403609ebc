"""The valid requests that every other one is a change of: one for each thing that our issuers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from entitlements.edge.grant_types import exchange, jwt_bearer

from . import drafts
from .drafts import Change, Draft, Value
from .scenes import VERIFIER, Jwt, Scene
from .worlds import BACK


@dataclass(frozen=True)
class Base:
    """A valid request: what it sends, how its client authenticates, and which of its parameters hold a JWT."""

    name: str
    path: str
    form: tuple[tuple[str, Value], ...]
    auth: Change = field(default_factory=drafts.by_key)
    jwts: dict[str, Callable[[Scene], Jwt]] = field(default_factory=dict)

    def draft(self, scene: Scene) -> Draft:
        """Begin to write it."""
        draft = Draft(scene, self.path, form=list(self.form))
        self.auth(draft)
        return draft


def _maps(scene: Scene) -> str:
    return scene.world.resource("maps")


def _system(slug: str) -> str:
    return f"http://localhost:8000/as/{slug}"


_EXCHANGE: tuple[tuple[str, Value], ...] = (
    ("grant_type", exchange.GRANT),
    ("requested_token_type", exchange.ID_JAG),
    ("subject_token_type", exchange.ID_TOKEN),
)

EXCHANGE = Base(
    "exchange",
    "/idp/token",
    (
        *_EXCHANGE,
        ("subject_token", lambda scene: scene.id_token().text()),
        ("audience", _system("time")),
        ("resource", lambda scene: scene.world.resource("time")),
        ("scope", "time:read"),
    ),
    jwts={"subject_token": lambda scene: scene.id_token()},
)
EXCHANGE_OWN = Base(
    "exchange of ours",
    "/idp/token",
    (
        *_EXCHANGE,
        ("subject_token", lambda scene: scene.own_id_token().text()),
        ("audience", _system("maps")),
        ("resource", _maps),
    ),
    jwts={"subject_token": lambda scene: scene.own_id_token()},
)
CODE = Base(
    "code",
    "/idp/token",
    (
        ("grant_type", "authorization_code"),
        ("code", lambda scene: scene.code()),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ),
    drafts.by_name(),
)
REDEEM = Base(
    "redeem",
    "/as/time/token",
    (
        ("grant_type", jwt_bearer.GRANT),
        ("assertion", lambda scene: scene.id_jag().text()),
        ("scope", "time:read"),
        ("resource", lambda scene: scene.world.resource("time")),
    ),
    jwts={"assertion": lambda scene: scene.id_jag()},
)
REDEEM_FOREIGN = Base(
    "redeem a partner's",
    "/as/time/token",
    (("grant_type", jwt_bearer.GRANT), ("assertion", lambda scene: scene.foreign_jag().text())),
    jwts={"assertion": lambda scene: scene.foreign_jag()},
)
REDEEM_NATIVE = Base(
    "redeem at maps",
    "/as/maps/token",
    (("grant_type", jwt_bearer.GRANT), ("assertion", lambda scene: scene.id_jag("maps").text())),
    drafts.by_basic(),
    jwts={"assertion": lambda scene: scene.id_jag("maps")},
)
ALONE = Base(
    "alone",
    "/as/time/token",
    (
        ("grant_type", "client_credentials"),
        ("scope", "time:solo"),
        ("resource", lambda scene: scene.world.resource("time")),
    ),
)
ALONE_NATIVE = Base("alone at maps", "/as/maps/token", (("grant_type", "client_credentials"),), drafts.by_basic())
SCRIPT = Base(
    "script",
    "/as/mandate/token",
    (("grant_type", "client_credentials"), ("scope", "agents:read")),
    drafts.by_basic("script-client"),
)
INTROSPECT = Base(
    "introspect",
    "/as/time/introspect",
    (("token", lambda scene: scene.access_token().text()), ("token_type_hint", "access_token")),
    jwts={"token": lambda scene: scene.access_token()},
)
INTROSPECT_JAG = Base(
    "introspect an ID-JAG",
    "/idp/introspect",
    (("token", lambda scene: scene.id_jag().text()),),
    jwts={"token": lambda scene: scene.id_jag()},
)
INTROSPECT_OPAQUE = Base("introspect opaque", "/idp/introspect", (("token", lambda scene: scene.opaque()),))
REVOKE = Base(
    "revoke",
    "/as/time/revoke",
    (("token", lambda scene: scene.access_token().text()), ("token_type_hint", "access_token")),
    jwts={"token": lambda scene: scene.access_token()},
)
REVOKE_JAG = Base(
    "revoke an ID-JAG",
    "/idp/revoke",
    (("token", lambda scene: scene.id_jag().text()),),
    jwts={"token": lambda scene: scene.id_jag()},
)
REVOKE_OPAQUE = Base("revoke opaque", "/idp/revoke", (("token", lambda scene: scene.opaque()),), drafts.by_name())

TOKENS = (EXCHANGE, EXCHANGE_OWN, CODE, REDEEM, REDEEM_FOREIGN, REDEEM_NATIVE, ALONE, ALONE_NATIVE, SCRIPT)
CHECKS = (INTROSPECT, INTROSPECT_JAG, INTROSPECT_OPAQUE, REVOKE, REVOKE_JAG, REVOKE_OPAQUE)
ALL = (*TOKENS, *CHECKS)
