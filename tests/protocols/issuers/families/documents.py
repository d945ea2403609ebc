"""What our issuers publish: metadata in each well-known form, key sets, the keys of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.protocols.issuers import drafts
from tests.protocols.issuers.cases import Case

PATHS: Final = (
    "/.well-known/oauth-authorization-server/idp",
    "/.well-known/openid-configuration/idp",
    "/idp/.well-known/openid-configuration",
    "/idp/jwks.json",
    "/records/jwks.json",
    *(f"/.well-known/oauth-authorization-server/as/{slug}" for slug in ("time", "maps", "mandate", "shut", "bare")),
    *(f"/as/{slug}/jwks.json" for slug in ("time", "maps", "mandate", "shut", "bare")),
)
PLAIN: Final = ("/.well-known/oauth-authorization-server/idp", "/as/time/jwks.json")
MISSING: Final = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/",
    "/.well-known/oauth-authorization-server/idp/",
    "/.well-known/oauth-authorization-server/as/unknown",
    "/.well-known/oauth-authorization-server/as/TIME",
    "/.well-known/oauth-authorization-server/as/time/",
    "/.well-known/oauth-authorization-server/as/time%2f",
    "/.well-known/oauth-authorization-server/as/a%00b",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/as/time",
    "/as/time/.well-known/openid-configuration",
    "/as/time/.well-known/oauth-authorization-server",
    "/as/unknown/jwks.json",
    "/as/time/jwks.json/",
    "/as/TIME/jwks.json",
    "/as//jwks.json",
    "/as/time/jwks",
    "/as/time",
    "/as/time/",
    "/as",
    "/idp",
    "/idp/",
    "/idp/jwks",
    "/idp/jwks.json/",
    "/idp/nothing",
    "/as/time/nothing",
    "/as/time/status-list",
    "/as/time/register",
    "/idp/register",
    "/idp/device_authorization",
)
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")
HEADERS: Final = {
    "from another origin": ("Origin", "https://app.example"),
    "from the null origin": ("Origin", "null"),
    "asking for html": ("Accept", "text/html"),
    "asking in German": ("Accept-Language", "de"),
    "asking for gzip": ("Accept-Encoding", "gzip"),
    "if newer": ("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
    "if changed": ("If-None-Match", "*"),
    "a range": ("Range", "bytes=0-9"),
    "with a cookie": ("Cookie", "sessionid=abc; csrftoken=x"),
    "with credentials": ("Authorization", "Basic eDp5"),
    "a trace": ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    "another host forwarded": ("X-Forwarded-Host", "evil.example"),
}


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for path in PATHS:
        for method in METHODS:
            yield Case("document", f"{method} {path}", None, (drafts.path(path), drafts.method(method)))
        for what, (name, value) in HEADERS.items() if path in PLAIN else ():
            yield Case("document", f"{path}, {what}", None, (drafts.path(path), drafts.header(name, value)))
        yield Case("document", f"{path}, with a query", None, (drafts.path(path), drafts.query("a=1&b=%ff")))
        preflight = drafts.both(
            drafts.method("OPTIONS"),
            drafts.header("Origin", "https://app.example"),
            drafts.header("Access-Control-Request-Method", "GET"),
        )
        yield Case("document", f"{path}, preflight", None, (drafts.path(path), preflight))
    for path in MISSING:
        for method in ("GET", "POST"):
            yield Case("document", f"{method} {path}", None, (drafts.path(path), drafts.method(method)))
    for path in PATHS[3:5]:
        for state in ("signing keys next", "signing keys rotated", "signing keys withdrawn"):
            yield Case("document", f"GET {path}, {state}", None, (drafts.path(path),), state)
    for path in ("/as/time/jwks.json", "/.well-known/oauth-authorization-server/as/time"):
        for state in ("signing keys next", "signing keys rotated", "signing keys withdrawn", "system disabled"):
            yield Case("document", f"GET {path}, {state}", None, (drafts.path(path),), state)
