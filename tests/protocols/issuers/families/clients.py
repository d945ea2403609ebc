"""How a client authenticates: each method at each endpoint, and each way to do it wrongly."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

from tests.protocols.issuers import bases, drafts
from tests.protocols.issuers.cases import Case, of
from tests.protocols.issuers.drafts import Change, both, by_basic, by_jwt, by_key, by_name, by_post, header, put

METHODS: Final[dict[str, Change]] = {
    "key": by_key(),
    "basic": by_basic(),
    "post": by_post(),
    "public": by_name(),
    "nobody": drafts.no_credentials,
    "basic, wrong": by_basic(secret="wrong"),
    "post, wrong": by_post(secret="wrong"),
    "key, of another": by_jwt(lambda scene: scene.assertion("other-key-client", iss="key-client", sub="key-client")),
    "basic and post": both(by_post(), header("Authorization", "Basic eDp5")),
    "basic and key": both(by_key(), header("Authorization", "Basic eDp5")),
    "post and key": both(by_key(), put("client_secret", "x")),
    "all three": both(by_key(), put("client_secret", "x"), header("Authorization", "Basic eDp5")),
    "key, disabled": by_key("off-key-client"),
    "basic, disabled": by_basic("off-secret-client"),
    "post, disabled": by_post("off-secret-client"),
    "public, disabled": by_name("off-public-client"),
    "another agent's": by_basic("other-client"),
    "no agent's": by_basic("script-client"),
}
"""The second half of a pair: each is tried with every grant type at every endpoint."""


def _plain(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def _basic(value: str) -> Change:
    return both(drafts.no_credentials, header("Authorization", value))


def _known(scheme: str = "Basic", end: str = "") -> Change:
    def change(draft: drafts.Draft) -> None:
        by_basic()(draft)
        name, value = draft.headers.pop()
        assert isinstance(value, str)
        draft.headers.append((name, f"{scheme} {value.partition(' ')[2]}{end}"))

    return change


HEADERS: Final[dict[str, Change]] = {
    "scheme alone": _basic("Basic"),
    "scheme and a space": _basic("Basic "),
    "empty header": _basic(""),
    "not base64": _basic("Basic !!!"),
    "base64 cut off": _basic("Basic c2Vjc"),
    "no colon": _basic(_plain(b"secret-client")),
    "empty client": _basic(_plain(b":secret")),
    "empty secret": _basic(_plain(b"secret-client:")),
    "not UTF-8": _basic(_plain(b"\xff:\xff")),
    "broken escape": _basic(_plain(b"secret%zzclient:x")),
    "NUL": _basic(_plain(b"secret%00client:x")),
    "unknown client": _basic(_plain(b"unknown:x")),
    "overlong client": _basic(_plain(b"x" * 5000 + b":x")),
    "bearer": _basic("Bearer abc"),
    "digest": _basic('Digest username="x"'),
    "DPoP scheme": _basic("DPoP abc"),
    "two headers": both(by_basic(), header("Authorization", "Basic eDp5")),
    "lower-case scheme": _known("basic"),
    "upper-case scheme": _known("BASIC"),
    "two spaces": _known("Basic "),
    "space behind": _known(end=" "),
    "rubbish behind": _known(end="!"),
    "secret of a client with a key": by_basic("key-client", "x"),
    "secret of a public client": by_basic("public-client", ""),
    "the same client_id in the form": both(by_basic(), put("client_id", "secret-client")),
    "another client_id in the form": both(by_basic(), put("client_id", "other-client")),
    "empty client_secret in the form": both(by_basic(), put("client_secret", "")),
    "empty client_assertion in the form": both(by_basic(), put("client_assertion", "")),
}
FORMS: Final[dict[str, Change]] = {
    "secret without client_id": both(drafts.no_credentials, put("client_secret", "x")),
    "secret and empty client_id": both(drafts.no_credentials, put("client_secret", "x"), put("client_id", "")),
    "unknown client": by_post("unknown", "x"),
    "client in upper case": both(by_post(), put("client_id", "SECRET-CLIENT")),
    "space before the client": both(by_post(), put("client_id", " secret-client")),
    "secret of a client with a key": by_post("key-client", "x"),
    "empty secret": by_post(secret=""),
    "overlong secret": by_post(secret="x" * 5000),
    "secret with a space behind": both(
        by_post(), put("client_secret", lambda scene: scene.world.secrets["secret-client"] + " ")
    ),
    "name of a client with a key": by_name("key-client"),
    "name of a client with a secret": by_name("secret-client"),
    "unknown name": by_name("unknown"),
    "empty name": by_name(""),
    "name of another agent's": by_name("other-client"),
    "assertion type alone": both(by_key(), drafts.drop("client_assertion")),
    "assertion alone": both(by_key(), drafts.drop("client_assertion_type")),
    "assertion type of SAML": both(
        by_key(), put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
    ),
    "assertion type in upper case": both(by_key(), put("client_assertion_type", "JWT-BEARER")),
    "empty assertion": both(by_key(), put("client_assertion", "")),
    "assertion and its client_id": both(by_key(), put("client_id", "key-client")),
    "assertion and another client_id": both(by_key(), put("client_id", "secret-client")),
    "assertion of an unknown client": by_jwt(lambda scene: scene.assertion(iss="unknown", sub="unknown")),
    "assertion of a client with a secret": by_jwt(lambda s: s.assertion(iss="secret-client", sub="secret-client")),
    "assertion of a client without agent": by_key("script-key-client"),
    "assertion of the client's other name": by_jwt(
        lambda scene: scene.assertion("named-client", iss="agent-4711", sub="agent-4711"), "named-client"
    ),
    "assertion of a client that has another name": by_key("named-client"),
    "name that is another client's here": by_post("taken-client"),
}


def cases() -> Iterator[Case]:
    """Yield the cases: all of them at one endpoint of each kind, the methods at every one."""
    for base in bases.ALL:
        yield from of("client", base, METHODS.items())
    for base in (bases.EXCHANGE, bases.CODE, bases.REDEEM, bases.SCRIPT, bases.INTROSPECT, bases.REVOKE_JAG):
        yield from of("client by header", base, HEADERS.items())
        yield from of("client by form", base, FORMS.items())
