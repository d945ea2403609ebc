"""Each valid request in each state of the world behind it, and sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from audit import clock
from tests.protocols.issuers import bases, drafts
from tests.protocols.issuers.cases import Case
from tests.protocols.issuers.drafts import Change, by_basic, by_key, put
from tests.protocols.issuers.states import SOON, STATES

REPLAYS: Final[dict[str, Change]] = {
    "all the same": drafts.nothing,
    "by secret": by_basic(),
    "without a trace of its own": drafts.header(
        "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ),
}
WHOLE: Final = (
    *(bases.EXCHANGE, bases.EXCHANGE_OWN, bases.CODE, bases.REDEEM, bases.REDEEM_FOREIGN, bases.ALONE, bases.SCRIPT),
    *(bases.INTROSPECT, bases.INTROSPECT_JAG),
)
SESSIONS: Final[dict[str, Change]] = {
    "session of another person": put(
        "assertion", lambda scene: scene.id_jag(session={"person": scene.world.people["bob"]}).text()
    ),
    "of another client of the agent": put("assertion", lambda scene: scene.id_jag(client="secret-client").text()),
    "without session": put("assertion", lambda scene: scene.id_jag(session_id=None).text()),
    "revoked": put(
        "assertion", lambda scene: scene.id_jag(revoked_at=clock.now(), revoke_reason="for the corpus").text()
    ),
    "an access token": put("assertion", lambda scene: scene.access_token().text()),
    "an ID token": put("assertion", lambda scene: scene.id_token().text()),
}
FEW: Final = (
    *("person disabled", "agent suspended", "client disabled", "client enabled again", "system disabled"),
    *("everything stopped", "grants revoked", "entitlement has another tool", "sessions ended", "secret rotated"),
    *("signing keys rotated", "signing keys withdrawn"),
)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for base in bases.ALL:
        for state in STATES if base in WHOLE else FEW:
            yield Case("state", f"{base.name}, {state}", base, (), state)
        for what, change in REPLAYS.items():
            yield Case("again", f"{base.name}, {what}", base, (change,), times=2)
    for state in ("client disabled", "agent suspended", "person disabled", "sessions ended", "grants revoked"):
        yield Case("state", f"redeem by secret, {state}", bases.REDEEM, (by_basic(),), state)
        yield Case("state", f"introspect by inspector, {state}", bases.INTROSPECT, (_inspector,), state)
    lenient = put("assertion", lambda scene: scene.foreign_jag(issuer="https://idp.lenient.example").text())
    yield Case(
        "again", "redeem of an issuer that lets it be used again", bases.REDEEM_FOREIGN, (lenient, by_basic()), times=2
    )
    yield Case("again", "redeem of an issuer, by key", bases.REDEEM_FOREIGN, (lenient,), times=2)
    yield Case(
        "state",
        "redeem after a refusal",
        bases.REDEEM,
        (by_basic(), put("scope", "time:read")),
        "everything stopped",
        2,
    )
    for what, change in SESSIONS.items():
        yield Case("state", f"redeem, {what}", bases.REDEEM, (change,))
    brief = put("assertion", lambda scene: scene.id_jag(scope="time:brief").text())
    yield Case("state", "redeem, a grant ends soon", bases.REDEEM, (brief, drafts.drop("scope")), SOON)
    for base in (bases.EXCHANGE, bases.ALONE, bases.INTROSPECT, bases.REVOKE):
        yield Case("state", f"{base.name}, a limit of one", base, (by_key(),), "a limit of one", 3)
        yield Case("state", f"{base.name} by secret, a limit of one", base, (by_basic(),), "a limit of one", 3)


def _inspector(draft: drafts.Draft) -> None:
    put("token", lambda scene: scene.access_token(client="key-client").text())(draft)
    by_basic("inspector")(draft)
