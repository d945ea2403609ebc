"""How a request is written: address, method, headers, content type and body, at every endpoint that takes a form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.conf import settings

from tests.proofs import Holder
from tests.protocols.issuers import bases, drafts
from tests.protocols.issuers.cases import Case, of
from tests.protocols.issuers.drafts import FORM, Change, body, both, content_type, header, method, path, query
from tests.protocols.issuers.scenes import Scene

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

METHODS: Final = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "FOO")
CONTENT_TYPES: Final[dict[str, str | None]] = {
    "none": None,
    "empty": "",
    "with charset": f"{FORM}; charset=utf-8",
    "with charset in quotes": f'{FORM};charset="UTF-8"',
    "with half a quote": f'{FORM};charset="utf-8',
    "with another charset": f"{FORM}; charset=iso-8859-1",
    "with two charsets": f"{FORM}; charset=utf-8; charset=utf-8",
    "with another parameter": f"{FORM}; boundary=x",
    "with a semicolon": f"{FORM};",
    "in upper case": FORM.upper(),
    "with spaces": f"  {FORM} ",
    "json": "application/json",
    "multipart": "multipart/form-data; boundary=x",
    "text": "text/plain",
    "two": f"{FORM}, text/plain",
    "prefix": "application/x-www-form-urlencodedx",
}
BODIES: Final[dict[str, Change]] = {
    "empty": body(b""),
    "json": body(b'{"grant_type": "client_credentials"}'),
    "rubbish": body(b"\x00\xff\xfe"),
    "one ampersand": body(b"&"),
    "leading ampersand": body(lambda written: b"&" + written),
    "trailing ampersand": body(lambda written: written + b"&"),
    "two ampersands": body(lambda written: written.replace(b"&", b"&&", 1)),
    "semicolons": body(lambda written: written.replace(b"&", b";")),
    "a name alone": body(lambda written: written + b"&extra"),
    "a value alone": body(lambda written: written + b"&=x"),
    "unknown parameter": body(lambda written: written + b"&extra=1"),
    "unknown parameter twice": body(lambda written: written + b"&extra=1&extra=2"),
    "unknown parameter, broken escape": body(lambda written: written + b"&extra=%zz"),
    "unknown parameter, cut-off escape": body(lambda written: written + b"&extra=%4"),
    "unknown parameter, not UTF-8": body(lambda written: written + b"&extra=%ff"),
    "unknown parameter, raw bytes": body(lambda written: written + "&extra=\u00e9".encode()),
    "unknown parameter, NUL": body(lambda written: written + b"&extra=%00"),
    "unknown parameter, line break": body(lambda written: written + b"&extra=%0d%0a"),
    "unknown parameter, surrogate": body(lambda written: written + b"&extra=%ed%a0%80"),
    "fifty parameters": body(lambda written: _filled(written, 50)),
    "fifty-one parameters": body(lambda written: _filled(written, 51)),
    "64 KiB": body(lambda written: (written + b"&extra=").ljust(64 * 1024, b"x")),
    "64 KiB and one": body(lambda written: (written + b"&extra=").ljust(64 * 1024 + 1, b"x")),
    "3 MiB": body(lambda written: (written + b"&extra=").ljust(3 * 1024 * 1024, b"x")),
    "line break behind": body(lambda written: written + b"\r\n"),
}
HEADERS: Final[dict[str, Change]] = {
    "trace": header("Traceparent", TRACE),
    "trace in upper case": header("Traceparent", TRACE.upper()),
    "trace of zeros": header("Traceparent", f"00-{'0' * 32}-{'0' * 16}-01"),
    "trace of another version": header("Traceparent", TRACE.replace("00-", "01-", 1)),
    "trace with more": header("Traceparent", f"{TRACE}-extra"),
    "trace cut off": header("Traceparent", TRACE[:40]),
    "two traces": both(header("Traceparent", TRACE), header("Traceparent", TRACE)),
    "trace and state": both(header("Traceparent", TRACE), header("Tracestate", "a=b")),
    "request id": header("X-Request-ID", "req-1.2_3:4"),
    "empty request id": header("X-Request-ID", ""),
    "overlong request id": header("X-Request-ID", "x" * 101),
    "longest request id": header("X-Request-ID", "x" * 100),
    "request id with a space": header("X-Request-ID", "a b"),
    "DPoP": header("DPoP", "x"),
    "empty DPoP": header("DPoP", ""),
    "DPoP with a nonce that was made up": header("DPoP", lambda scene: _proof(scene, nonce="x")),
    "origin": header("Origin", "https://app.example"),
    "null origin": header("Origin", "null"),
    "cookie": header("Cookie", "sessionid=abc; csrftoken=x"),
    "referer": header("Referer", "https://evil.example/"),
    "accept html": header("Accept", "text/html"),
    "accept German": header("Accept-Language", "de"),
    "accept gzip": header("Accept-Encoding", "gzip"),
    "gzip": header("Content-Encoding", "gzip"),
    "forwarded for": header("X-Forwarded-For", "203.0.113.9"),
    "forwarded host": header("X-Forwarded-Host", "evil.example"),
    "method override": header("X-HTTP-Method-Override", "GET"),
    "client certificate": header("X-Client-Cert", "x"),
    "attestation": header("OAuth-Client-Attestation", "x"),
}
PATHS: Final[dict[str, Change]] = {
    "trailing slash": path(lambda written: f"{written}/"),
    "two slashes": path(lambda written: written.replace("/", "//", 1)),
    "upper case": path(str.upper),
    "query": query("grant_type=client_credentials&scope=x"),
    "query with credentials": query("client_id=secret-client&client_secret=x"),
    "access token in the query": query("access_token=x"),
    "broken query": query("%ff&&="),
    "another host": drafts.host("evil.example"),
}


def _proof(scene: Scene, **claims: str) -> str:
    """Make a proof for the address at which the case asks."""
    return Holder().prove("POST", f"{settings.EDGE_URL}{scene.path}", **claims)


def _filled(written: bytes, most: int) -> bytes:
    return b"&".join([written, *(b"extra%d=1" % number for number in range(most - written.count(b"&") - 1))])


def cases() -> Iterator[Case]:
    """Yield the cases. What only changes how the bytes are read is tried where most is read."""
    for base in bases.ALL:
        yield from of("method", base, [(name, method(name)) for name in METHODS])
        yield from of("address", base, PATHS.items())
        yield from of("preflight", base, [("asked by a browser", _preflight())])
    for base in (bases.EXCHANGE, bases.CODE, bases.REDEEM, bases.ALONE, bases.INTROSPECT, bases.REVOKE_JAG):
        yield from of("content type", base, [(what, content_type(value)) for what, value in CONTENT_TYPES.items()])
        yield from of("body", base, BODIES.items())
        yield from of("header", base, HEADERS.items())
    for base in (bases.REDEEM, bases.INTROSPECT, bases.REVOKE):
        for slug in (
            "unknown",
            "shut",
            "bare",
            "idp",
            "TIME",
            "ti me",
            "time%00",
            "git",
            "maps",
            "mandate",
            "-",
            "a/b",
        ):
            there = path(base.path.replace("time", slug))
            yield Case("address", f"{base.name}, at system {slug}", base, (there,))
            yield Case("address", f"{base.name}, at system {slug} by secret", base, (drafts.by_basic(), there))


def _preflight() -> Change:
    return both(
        method("OPTIONS"),
        header("Origin", "https://app.example"),
        header("Access-Control-Request-Method", "POST"),
        header("Access-Control-Request-Headers", "authorization,content-type"),
        drafts.no_credentials,
        body(b""),
    )
