"""Introspection and revocation: each kind of token in each state, by each kind of caller, with each hint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from audit import clock
from tests.protocols.issuers import bases, drafts
from tests.protocols.issuers.cases import Case
from tests.protocols.issuers.drafts import Change, Value, by_basic, by_key, by_name, put
from tests.protocols.issuers.scenes import Scene

OWNER: Final = "key-client"


def _revoked(scene: Scene, make: str) -> str:
    jwt = getattr(scene, make)(client=OWNER, revoked_at=clock.now(), revoke_reason="x")
    return str(jwt.text())


def _expired_row(scene: Scene, make: str) -> str:
    now = clock.now()
    jwt = getattr(scene, make)(client=OWNER, issued_at=now - timedelta(minutes=10), expires_at=now)
    return str(jwt.text())


TOKENS: Final[dict[str, Value]] = {
    "access": lambda scene: scene.access_token(client=OWNER).text(),
    "access for nobody": lambda scene: scene.access_token(person=None, client=OWNER).text(),
    "access of git": lambda scene: scene.access_token("git", client=OWNER).text(),
    "access of maps": lambda scene: scene.access_token("maps", client=OWNER).text(),
    "access of our API": lambda scene: scene.access_token("mandate", None, "script-client", scope="agents:read").text(),
    "access of our API, wider": lambda scene: scene.access_token(
        "mandate", None, "script-client", scope="agents:read agents:write"
    ).text(),
    "access of two scopes": lambda scene: scene.access_token(client=OWNER, scope="time:read time:team").text(),
    "access of another scope": lambda scene: scene.access_token(client=OWNER, scope="time:write").text(),
    "access without scope": lambda scene: scene.access_token(client=OWNER, scope="").text(),
    "access for bob": lambda scene: scene.access_token(person="bob", client=OWNER, scope="time:write").text(),
    "access for carol": lambda scene: scene.access_token(person="carol", client=OWNER).text(),
    "access without session": lambda scene: scene.access_token(client=OWNER, session_id=None).text(),
    "access, revoked": lambda scene: _revoked(scene, "access_token"),
    "access, expired": lambda scene: _expired_row(scene, "access_token"),
    "access, session ended": lambda scene: scene.access_token(
        client=OWNER, session={"ended_at": clock.now(), "end_reason": "x"}
    ).text(),
    "access, session of bob": lambda scene: scene.access_token(
        client=OWNER, session={"person": scene.world.people["bob"]}
    ).text(),
    "access without row": lambda scene: scene.access_token(client=OWNER, claims={"jti": scene.uuid("no row")}).text(),
    "ID-JAG": lambda scene: scene.id_jag(client=OWNER).text(),
    "ID-JAG for maps": lambda scene: scene.id_jag("maps", client=OWNER).text(),
    "ID-JAG, revoked": lambda scene: _revoked(scene, "id_jag"),
    "ID-JAG, expired": lambda scene: _expired_row(scene, "id_jag"),
    "ID-JAG of a partner": lambda scene: scene.foreign_jag().text(),
    "ID token of ours": lambda scene: scene.own_id_token().text(),
    "opaque": lambda scene: scene.opaque(OWNER),
    "opaque for carol": lambda scene: scene.opaque(OWNER, "carol"),
    "opaque, expired": lambda scene: scene.opaque(OWNER, expires=clock.now()),
    "opaque without person": lambda scene: scene.opaque(OWNER, user=None),
    "unknown": "unknown",
    "unknown with dots": "a.b.c",
    "not ASCII": "z\u00fcrich",
}
CALLERS: Final[dict[str, Change]] = {
    "owner": by_key(OWNER),
    "client of the same agent": by_basic(),
    "client of another agent": by_basic("other-client"),
    "script": by_basic("script-client"),
    "inspector": by_basic("inspector"),
    "inspector of maps": by_basic("maps-inspector"),
    "public": by_name(),
    "disabled": by_basic("off-secret-client"),
    "nobody": drafts.no_credentials,
}
HINTS: Final[dict[str, Change]] = {
    "no hint": drafts.drop("token_type_hint"),
    "hint access_token": put("token_type_hint", "access_token"),
    "hint refresh_token": put("token_type_hint", "refresh_token"),
    "hint of an ID-JAG": put("token_type_hint", "urn:ietf:params:oauth:token-type:id-jag"),
    "hint unknown": put("token_type_hint", "something-else"),
}
ENDPOINTS: Final = {
    "introspect": bases.INTROSPECT,
    "introspect at idp": bases.INTROSPECT_JAG,
    "revoke": bases.REVOKE,
    "revoke at idp": bases.REVOKE_JAG,
}
FEW: Final = ("owner", "inspector", "script")


def cases() -> Iterator[Case]:
    """Yield the cases: each token with the callers who may know it, the two plain tokens with every caller and hint."""
    for where, base in ENDPOINTS.items():
        for kind, token in TOKENS.items():
            for who in CALLERS if kind in {"access", "ID-JAG", "opaque"} else FEW:
                yield Case("inspect", f"{where}, {kind}, {who}", base, (CALLERS[who], put("token", token)))
        for kind in ("access", "ID-JAG", "opaque", "unknown"):
            for hint, change in HINTS.items():
                yield Case("inspect", f"{where}, {kind}, {hint}", base, (change, put("token", TOKENS[kind])))
    for kind in ("access", "access of maps", "access of our API"):
        for system in ("maps", "mandate", "shut", "bare"):
            for base in (bases.INTROSPECT, bases.REVOKE):
                there = drafts.path(base.path.replace("time", system))
                for who in ("client of the same agent", "script", "inspector of maps"):
                    changes = (CALLERS[who], put("token", TOKENS[kind]), there)
                    yield Case("inspect", f"{base.name} at {system}, {kind}, {who}", base, changes)
