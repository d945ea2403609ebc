"""Each parameter of each valid request, wrong in each way; and scopes, resources, audiences in their variants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from audit import clock
from tests.protocols.issuers import bases
from tests.protocols.issuers.cases import Case, of
from tests.protocols.issuers.drafts import Change, again, both, drop, put, renamed
from tests.protocols.issuers.scenes import Scene
from tests.protocols.issuers.states import SOON

_TYPES: Final = "urn:ietf:params:oauth:token-type"


def _wrong(name: str) -> dict[str, Change]:
    """Return each way in which one parameter can be wrong."""
    return {
        "missing": drop(name),
        "empty": put(name, ""),
        "a space": put(name, " "),
        "twice": again(name),
        "twice, the second empty": again(name, ""),
        "twice, the second another": again(name, "x"),
        "something else": put(name, "something-else"),
        "a number": put(name, "1"),
        "an object": put(name, "{}"),
        "overlong": put(name, "x" * 20_000),
        "not ASCII": put(name, "z\u00fcrich\u200b"),
        "broken escape": put(name, b"%zz"),
        "not UTF-8": put(name, b"%ff"),
        "NUL": put(name, "a\x00b"),
        "a line break": put(name, "a\nb"),
        "as a list": renamed(name, f"{name}[]"),
        "in upper case": renamed(name, name.upper()),
    }


SCOPES: Final[dict[str, Change]] = {
    "none": drop("scope"),
    "two held": put("scope", "time:read time:team"),
    "two held, the other order": put("scope", "time:team time:read"),
    "repeated": put("scope", "time:read time:read"),
    "held and not held": put("scope", "time:read time:write"),
    "not held": put("scope", "time:write"),
    "unknown": put("scope", "time:nothing"),
    "of another system": put("scope", "git:read"),
    "held and of another system": put("scope", "time:read git:read"),
    "held and openid": put("scope", "openid time:read offline_access"),
    "openid": put("scope", "openid"),
    "without a system": put("scope", "read"),
    "in upper case": put("scope", "TIME:READ"),
    "that begins later": put("scope", "time:later"),
    "through a group": put("scope", "time:team"),
    "held by nobody": put("scope", "time:unheld"),
    "of the agent alone": put("scope", "time:solo"),
    "two spaces": put("scope", "time:read  time:team"),
    "space before": put("scope", " time:read"),
    "space behind": put("scope", "time:read "),
    "a tab": put("scope", "time:read\ttime:team"),
    "a quote": put("scope", 'time:"read'),
    "a backslash": put("scope", "time:\\read"),
    "a wildcard": put("scope", "time:*"),
    "two hundred": put("scope", " ".join(f"time:s{number}" for number in range(200))),
    "two hundred and one": put("scope", " ".join(f"time:s{number}" for number in range(201))),
    "8 KiB": put("scope", "x" * 8193),
}
BRIEF: Final[dict[str, Change]] = {
    "that ends soon": put("scope", "time:brief"),
    "that ends soon, with another": put("scope", "time:brief time:read"),
    "none, and one ends soon": drop("scope"),
}
RESOURCES: Final[dict[str, Change]] = {
    "none": drop("resource"),
    "with a slash": put("resource", lambda scene: scene.world.resource("time") + "/"),
    "with a fragment": put("resource", lambda scene: scene.world.resource("time") + "#x"),
    "in upper case": put("resource", lambda scene: scene.world.resource("time").upper()),
    "of another system": put("resource", lambda scene: scene.world.resource("git")),
    "of nobody": put("resource", "https://example.org/mcp"),
    "the issuer": put("resource", "http://localhost:8000/as/time"),
    "relative": put("resource", "/gw/time/mcp"),
    "twice": again("resource"),
    "two": again("resource", "https://example.org/mcp"),
}
AUDIENCES: Final[dict[str, Change]] = {
    "with a slash": put("audience", "http://localhost:8000/as/time/"),
    "in upper case": put("audience", "HTTP://LOCALHOST:8000/AS/TIME"),
    "the identity issuer": put("audience", "http://localhost:8000/idp"),
    "of another system": put("audience", "http://localhost:8000/as/git"),
    "of another system with its resource": both(
        put("audience", "http://localhost:8000/as/git"),
        put("resource", lambda scene: scene.world.resource("git")),
        drop("scope"),
    ),
    "of a native system": both(put("audience", "http://localhost:8000/as/maps"), drop("scope", "resource")),
    "of our own API": both(put("audience", "http://localhost:8000/as/mandate"), drop("scope", "resource")),
    "of our own API with its resource": both(
        put("audience", "http://localhost:8000/as/mandate"), put("resource", "http://localhost:8000/api/v1")
    ),
    "of a disabled system": both(put("audience", "http://localhost:8000/as/shut"), drop("resource")),
    "of a system without keys": both(put("audience", "http://localhost:8000/as/bare"), drop("resource")),
    "of an unknown system": put("audience", "http://localhost:8000/as/unknown"),
    "of no system": put("audience", "http://localhost:8000/as/"),
    "of a stranger": put("audience", "https://as.example.org"),
    "the resource": put("audience", lambda scene: scene.world.resource("time")),
    "the slug": put("audience", "time"),
    "with a path behind": put("audience", "http://localhost:8000/as/time/token"),
}
EXCHANGES: Final[dict[str, Change]] = {
    "actor_token": put("actor_token", "x"),
    "actor_token and its type": both(put("actor_token", "x"), put("actor_token_type", f"{_TYPES}:jwt")),
    "actor_token_type alone": put("actor_token_type", f"{_TYPES}:jwt"),
    "authorization_details": put("authorization_details", "[]"),
    **{
        f"subject_token_type {kind}": put("subject_token_type", f"{_TYPES}:{kind}")
        for kind in ("saml2", "refresh_token", "access_token", "jwt", "id-jag")
    },
    **{
        f"requested_token_type {kind}": put("requested_token_type", f"{_TYPES}:{kind}")
        for kind in ("access_token", "refresh_token", "id_token", "jwt")
    },
    "of bob": put("subject_token", lambda scene: scene.id_token("bob").text()),
    "of bob for what he holds": both(
        put("subject_token", lambda scene: scene.id_token("bob").text()), put("scope", "time:write")
    ),
    "of carol, who is disabled": put("subject_token", lambda scene: scene.id_token("carol").text()),
    "of dave, signed in again": put("subject_token", lambda scene: scene.id_token("dave").text()),
    "of dave, from before": put(
        "subject_token", lambda scene: scene.id_token("dave", iat=scene.at(-200, "id_token.iat")).text()
    ),
    "of nobody": put("subject_token", lambda scene: scene.id_token("nobody").text()),
    "of ours for dave, from before": put(
        "subject_token", lambda scene: scene.own_id_token("dave", iat=scene.at(-200, "id_token.iat")).text()
    ),
    "of ours for nobody": put("subject_token", lambda scene: scene.own_id_token("nobody").text()),
    "an access token of ours": put("subject_token", lambda scene: scene.access_token().text()),
    "an ID-JAG of ours": put("subject_token", lambda scene: scene.id_jag().text()),
    "an ID-JAG of a partner": put("subject_token", lambda scene: scene.foreign_jag().text()),
    "a client assertion": put("subject_token", lambda scene: scene.assertion().text()),
}


def _code(person: str = "alice", **columns: Any) -> Change:  # noqa: ANN401 - columns of a code
    return put("code", lambda scene: scene.code(person=person, **columns))


def _ago(scene: Scene) -> str:
    return scene.code(expires=clock.now())


CODES: Final[dict[str, Change]] = {
    "expired": put("code", _ago),
    "of another client": put("code", lambda scene: scene.code("key-client")),
    "of carol, who is disabled": _code(person="carol"),
    "of dave": _code(person="dave"),
    "without a time of sign-in": _code(auth_time=None),
    "without nonce": _code(nonce=""),
    "without PKCE": _code(code_challenge="", code_challenge_method=""),
    "plain PKCE": _code(code_challenge="v" * 64, code_challenge_method="plain"),
    "for another address": _code(redirect_uri="http://127.0.0.1:7777/other"),
    "for more scopes": _code(scope="openid email"),
    "without openid": _code(scope=""),
    "wrong verifier": put("code_verifier", "w" * 64),
    "short verifier": put("code_verifier", "v" * 42),
    "another address": put("redirect_uri", "http://127.0.0.1:7777/other"),
    "another port": put("redirect_uri", "http://127.0.0.1:7778/back"),
    "a scope": put("scope", "openid email"),
    "a resource": put("resource", "http://localhost:8001/gw/time/mcp"),
}

WHOLE: Final = (bases.EXCHANGE, bases.CODE, bases.REDEEM, bases.ALONE, bases.INTROSPECT)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for base in bases.ALL:
        for name, _ in base.form:
            wrong = [(f"{name} {what}", change) for what, change in _wrong(name).items()]
            yield from of("parameter", base, wrong if base in WHOLE else wrong[::4])
    for base in (bases.EXCHANGE, bases.REDEEM, bases.ALONE):
        yield from of("scope", base, SCOPES.items())
        yield from of("scope", base, BRIEF.items(), SOON)
        yield from of("resource", base, RESOURCES.items())
    yield from of("audience", bases.EXCHANGE, AUDIENCES.items())
    yield from of("exchange", bases.EXCHANGE, EXCHANGES.items())
    yield from of("code", bases.CODE, CODES.items())
