"""Each JWT that a request holds, wrong in each way: in form, in header, in claims, in times, in signature."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from tests.protocols.issuers import bases
from tests.protocols.issuers.cases import Case
from tests.protocols.issuers.drafts import Change, Draft, by_jwt, put
from tests.protocols.issuers.scenes import Jwt, Scene, segment

type Spoil = Callable[[Jwt, Scene], str]

HUGE: Final = 20_000


def _head(**members: Any) -> Spoil:
    """Change members of the header; None takes one away."""

    def spoil(jwt: Jwt, _scene: Scene) -> str:
        header = {name: value for name, value in {**jwt.header, **members}.items() if value is not None}
        return replace(jwt, header=header).text()

    return spoil


def _claims(**members: Any) -> Spoil:
    return lambda jwt, _scene: jwt.with_claims(**members).text()


def _times(**seconds: float) -> Spoil:
    """Set times, in seconds from now."""

    def spoil(jwt: Jwt, scene: Scene) -> str:
        moments = {name: scene.at(int(off), f"{name} {int(off):+}") for name, off in seconds.items()}
        return jwt.with_claims(**moments).text()

    return spoil


def _written(change: Callable[[str], str]) -> Spoil:
    return lambda jwt, _scene: change(jwt.text())


def _parts(change: Callable[[list[str]], list[str]]) -> Spoil:
    return _written(lambda text: ".".join(change(text.split("."))))


def _body(change: Callable[[str], str]) -> Spoil:
    """Change the text of the claims before it is signed."""
    return lambda jwt, _scene: jwt.text(claims=change(json.dumps(jwt.claims)).encode("utf-8", "surrogatepass"))


def _unsigned(alg: str) -> Spoil:
    def spoil(jwt: Jwt, _scene: Scene) -> str:
        head = segment(json.dumps({**jwt.header, "alg": alg}).encode())
        return (head + b"." + segment(json.dumps(jwt.claims).encode()) + b".").decode()

    return spoil


def _flipped(text: str) -> str:
    head, _, signature = text.rpartition(".")
    return f"{head}.{signature[:10]}{'A' if signature[10] != 'A' else 'B'}{signature[11:]}"


FORM: Final[dict[str, Spoil]] = {
    "rubbish": lambda _jwt, _scene: "rubbish",
    "dots": lambda _jwt, _scene: "..",
    "one part": _parts(lambda parts: parts[:1]),
    "two parts": _parts(lambda parts: parts[:2]),
    "four parts": _parts(lambda parts: [*parts, parts[2]]),
    "five parts": _parts(lambda parts: [*parts, parts[0], parts[1]]),
    "no signature": _parts(lambda parts: [*parts[:2], ""]),
    "half a signature": _parts(lambda parts: [*parts[:2], parts[2][:41]]),  # a length that no base64 has
    "another signature": _written(_flipped),
    "padding": _parts(lambda parts: [parts[0], parts[1] + "==", parts[2]]),
    "standard base64": _parts(lambda parts: [parts[0], parts[1][:8] + "+/" + parts[1][8:], parts[2]]),
    "a space behind": _written(lambda text: text + " "),
    "a line break within": _parts(lambda parts: [parts[0], parts[1] + "\n", parts[2]]),
    "not ASCII": _written(lambda text: text + "\u00e9"),
    "huge": _claims(extra="x" * HUGE),
    "header not JSON": lambda jwt, _scene: jwt.text(header=b"{"),
    "header a list": lambda jwt, _scene: jwt.text(header=b"[]"),
    "header with a name twice": lambda jwt, _s: jwt.text(
        header=json.dumps(jwt.header).replace("{", '{"alg": "none", ', 1).encode()
    ),
    "claims not JSON": _body(lambda text: text[:-1]),
    "claims a list": _body(lambda text: f"[{text}]"),
    "claims a text": _body(lambda _text: '"x"'),
    "claims empty": _body(lambda _text: ""),
    "claims with a name twice": _body(lambda text: text.replace("{", '{"iss": "x", ', 1)),
    "claims with NaN": _body(lambda text: text.replace("{", '{"extra": NaN, ', 1)),
    "claims with a huge number": _body(lambda text: text.replace("{", '{"extra": 1e999, ', 1)),
    "claims with NUL": _body(lambda text: text.replace("{", '{"extra": "\\u0000", ', 1)),
    "claims with a surrogate": _body(lambda text: text.replace("{", '{"extra": "\\ud800", ', 1)),
    "claims deep": _body(lambda text: text.replace("{", '{"extra": ' + "[" * 40 + "]" * 40 + ", ", 1)),
    "claims with a byte order mark": _body(lambda text: "\ufeff" + text),
}
HEADERS: Final[dict[str, Spoil]] = {
    "alg none": _unsigned("none"),
    "alg None": _unsigned("NoNe"),
    "alg HS256": _head(alg="HS256"),
    "alg RS256": _head(alg="RS256"),
    "alg ES384": _head(alg="ES384"),
    "alg missing": _head(alg=None),
    "alg a list": _head(alg=["ES256"]),
    "kid missing": _head(kid=None),
    "kid unknown": _head(kid="unknown"),
    "kid empty": _head(kid=""),
    "kid a number": _head(kid=1),
    "kid an injection": _head(kid="' OR 1=1 --"),
    "typ missing": _head(typ=None),
    "typ JWT": _head(typ="JWT"),
    "typ jwt": _head(typ="jwt"),
    "typ at+jwt": _head(typ="at+jwt"),
    "typ oauth-id-jag+jwt": _head(typ="oauth-id-jag+jwt"),
    "typ in upper case": lambda jwt, _scene: replace(
        jwt, header={**jwt.header, "typ": str(jwt.header["typ"]).upper()}
    ).text(),
    "typ with application": lambda jwt, _scene: replace(
        jwt, header={**jwt.header, "typ": f"application/{jwt.header['typ']}"}
    ).text(),
    "typ of a client assertion": _head(typ="client-authentication+jwt"),
    "typ of a logout token": _head(typ="logout+jwt"),
    "typ a number": _head(typ=1),
    "crit": _head(crit=["exp"]),
    "b64": _head(b64=False),
    "jwk": lambda jwt, _scene: replace(
        jwt, header={**jwt.header, "jwk": jwt.key.material.as_dict(private=False)}
    ).text(),
    "jku": _head(jku="https://evil.example/jwks.json"),
    "x5u": _head(x5u="https://evil.example/chain.pem"),
    "x5c": _head(x5c=["MIIB"]),
    "x5t": _head(x5t="abc"),
    "cty JWT": _head(cty="JWT"),
    "zip": _head(zip="DEF"),
    "overlong": _head(kid="x" * 3000),
    "a stranger's key": lambda jwt, scene: replace(jwt, key=scene.world.keys["stranger"]).text(),
}
_VALUES: Final[dict[str, Any]] = {
    "empty": "",
    "a number": 5,
    "a list": ["x", "y"],
    "an object": {"a": 1},
    "true": True,
    "overlong": "x" * 1_400,
    "with a line break": "a\nb",
    "another": "something-else",
}
TIMES: Final[dict[str, Spoil]] = {
    "exp past": _times(iat=-300, exp=-1),
    "exp long past": _times(iat=-90_000, exp=-86_400),
    "exp now": _times(exp=0),
    "exp before iat": _times(iat=-1, exp=-2, auth_time=-700),
    "exp far": _times(exp=7 * 86_400),
    "lives 301 s": _times(iat=-1, exp=300),
    "lives 601 s": _times(iat=-1, exp=600),
    "lives a day and a second": _times(iat=-1, exp=86_400),
    "iat future": _times(iat=120, exp=240),
    "iat just ahead": _times(iat=15, exp=200),
    "nbf past": _times(nbf=-10),
    "nbf future": _times(nbf=120),
    "nbf just ahead": _times(nbf=15),
    "auth_time future": _times(auth_time=120),
    "auth_time just ahead": _times(auth_time=15),
    "auth_time of yesterday": _times(auth_time=-86_400 - 7200),
    "exp missing": _claims(exp=None),
    "iat missing": _claims(iat=None),
    "auth_time missing": _claims(auth_time=None),
    **{
        f"{name} {what}": _claims(**{name: value})
        for name in ("exp", "iat", "nbf", "auth_time")
        for what, value in {
            "a text": "1900000000",
            "true": True,
            "zero": 0,
            "negative": -1,
            "beyond a double": 2**60,
            "a list": [1],
        }.items()
    },
    "exp a fraction": lambda jwt, scene: jwt.with_claims(exp=scene.now + 200.5).text(),
}
MORE: Final[dict[str, Spoil]] = {
    "cnf": _claims(cnf={"jkt": "abc"}),
    "cnf empty": _claims(cnf={}),
    "events": _claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "scp": _claims(scp=["x"]),
    "token_use access": _claims(token_use="access"),
    "typ Bearer among the claims": lambda jwt, _scene: jwt.with_claims(typ="Bearer").text(),
    "azp of another": _claims(azp="other-client"),
    "tenant": _claims(tenant="t1"),
    "act of another": _claims(act={"sub": "other-bot"}),
    "may_act of another": _claims(may_act={"sub": "other-bot"}),
    "acr and amr": _claims(acr="urn:mfa", amr=["pwd", "otp"]),
    "acr a list": _claims(acr=["urn:mfa"]),
    "amr a text": _claims(amr="pwd"),
    "amr of seventeen": _claims(amr=[f"m{number}" for number in range(17)]),
    "nonce": _claims(nonce="n"),
    "sub_id": _claims(sub_id={"format": "saml-nameid", "issuer": "x", "nameid": "y"}),
    "authorization_details": _claims(authorization_details=[]),
    "email of another": _claims(email="bob@example.org"),
    "aud twice the same": lambda jwt, _scene: jwt.with_claims(aud=[jwt.claims.get("aud")] * 2).text(),
    "aud a list of one": lambda jwt, _scene: jwt.with_claims(aud=[jwt.claims.get("aud")]).text(),
    "aud a list of two": lambda jwt, _scene: jwt.with_claims(aud=[jwt.claims.get("aud"), "x"]).text(),
    "aud an empty list": _claims(aud=[]),
    "aud with a slash": lambda jwt, _scene: jwt.with_claims(aud=f"{jwt.claims.get('aud')}/").text(),
    "aud another system": _claims(aud="http://localhost:8000/as/git"),
    "aud the token endpoint": lambda jwt, scene: jwt.with_claims(aud=f"http://localhost:8000{scene.path}").text(),
    **{f"iss {host}": _claims(iss=f"https://{host}") for host in ("evil.example", "idp.lenient.example")},
    "iss an ended one": _claims(iss="https://idp.ended.example"),
    "iss one of another purpose": _claims(iss="https://idp.partner.example"),
    "iss one whose keys are unreachable": _claims(iss="https://idp.unreachable.example"),
    "iss with a slash": lambda jwt, _scene: jwt.with_claims(iss=f"{jwt.claims['iss']}/").text(),
    "iss ours": _claims(iss="http://localhost:8000/idp"),
    "sub of another": _claims(sub="u-bob"),
    "jti a known one": _claims(jti="00000000-0000-4000-8000-000000000000"),
    "jti no UUID": _claims(jti="x"),
    "client_id of another": _claims(client_id="other-client"),
    "resource of another": _claims(resource="http://localhost:8001/gw/git/mcp"),
    "resource a list": lambda jwt, _scene: jwt.with_claims(resource=[jwt.claims.get("resource")]).text(),
    "resource missing": _claims(resource=None),
    "scope missing": _claims(scope=None),
    "scope wider": _claims(scope="time:read time:team time:write"),
    "scope another": _claims(scope="time:team"),
    "scope of nothing known": _claims(scope="x:y"),
    "scope a list": _claims(scope=["time:read"]),
    "scope malformed": _claims(scope='"'),
}
OWN: Final = ("auth_time", "aud ", "client_id", "sub ", "act ", "acr", "amr", "scp", "scope", "resource")
NAMES: Final = ("iss", "sub", "aud", "jti", "client_id", "sid")


def spoils(*, is_ours: bool) -> Iterator[tuple[str, Spoil]]:
    """Yield each way to spoil a JWT; of one that our own key signs, no claims that we never sign."""
    yield "as it should be", lambda jwt, _scene: jwt.text()
    for group, ways in (("form", FORM), ("header", HEADERS), ("time", TIMES), ("claim", MORE)):
        for what, spoil in ways.items():
            if not (is_ours and what.startswith(OWN)):
                yield f"{group} {what}", spoil
    for name in ("iss", "jti") if is_ours else NAMES:
        yield f"claim {name} missing", _claims(**{name: None})
        for what, value in _VALUES.items():
            yield f"claim {name} {what}", _claims(**{name: value})


def _in(name: str, make: Callable[[Scene], Jwt], spoil: Spoil) -> Change:
    return put(name, lambda scene: spoil(make(scene), scene))


def _as_assertion(spoil: Spoil) -> Change:
    def change(draft: Draft) -> None:
        by_jwt(lambda scene: scene.assertion())(draft)
        put("client_assertion", lambda scene: spoil(scene.assertion(), scene))(draft)

    return change


OURS: Final = (bases.EXCHANGE_OWN, *bases.CHECKS)
WHOLE: Final = (bases.EXCHANGE, bases.REDEEM, bases.REDEEM_FOREIGN, bases.INTROSPECT)
"""The requests whose token is spoilt in every way; in others each sixth way stands for its like."""


def cases() -> Iterator[Case]:
    """Yield the cases: every JWT of every valid request, and the client's assertion at four endpoints."""
    for base in bases.ALL:
        for parameter, make in base.jwts.items():
            ways = list(spoils(is_ours=base in OURS))
            for what, spoil in ways if base in WHOLE else ways[::6]:
                yield Case("token", f"{base.name}, {parameter} {what}", base, (_in(parameter, make, spoil),))
    for base in (bases.ALONE, bases.EXCHANGE, bases.INTROSPECT, bases.REVOKE_JAG):
        ways = list(spoils(is_ours=False))
        for what, spoil in ways if base is bases.ALONE else ways[::6]:
            yield Case("assertion", f"{base.name}, {what}", base, (_as_assertion(spoil),))
