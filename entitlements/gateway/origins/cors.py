"""CORS (Fetch, section 3.3): any origin may ask, without credentials, and may read the challenge of a refusal."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from entitlements.gateway.http import Answer, Header

ANY_ORIGIN: Final[tuple[Header, ...]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"WWW-Authenticate, DPoP-Nonce"),
)


def preflight(methods: bytes) -> Answer:
    """Answer what a browser asks before its script may send a request with these methods."""
    return Answer(
        HTTPStatus.NO_CONTENT,
        b"",
        (
            *ANY_ORIGIN,
            (b"access-control-allow-methods", methods),
            (
                b"access-control-allow-headers",
                b"Authorization, Content-Type, DPoP, Traceparent, Tracestate, X-Request-ID",
            ),
            (b"access-control-max-age", b"600"),
        ),
    )
