"""Which headers of requests and answers pass, in one place. Pure.

Towards a system go its credential, what the operation declares, and what we write ourselves: nothing else of a client.
Towards a client come a few that describe an answer, and none that could set or steer anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from entitlements.codes import Code
from entitlements.traces.trace_context import TraceContext

from .refusals import NotMapped, quoted

type Headers = Iterable[tuple[bytes, bytes]]

RESERVED: Final = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "dpop", "expect", "forwarded", "host", "keep-alive", "mandate-hop",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "set-cookie", "te", "trailer",
        "transfer-encoding", "upgrade", "via", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token",
        "x-http-method", "x-http-method-override", "x-method-override", "x-original-uri", "x-original-url",
        "x-real-ip", "x-rewrite-url",
    }
)  # fmt: skip
"""What no operation may declare: it steers the connection, says who asks, or would make it another request."""
_RESERVED_BEGINS: Final = ("x-forwarded-", "proxy-", "sec-", "x-envoy-")
_OF_WEIGHT: Final = frozenset(
    {
        "content-encoding", "content-range", "cookie", "idempotency-key", "if-match", "if-unmodified-since",
        "prefer", "trailer", "upgrade", "x-http-method", "x-http-method-override", "x-method-override",
        "x-original-uri", "x-original-url", "x-rewrite-url",
    }
)  # fmt: skip
"""What changes the meaning of a request: to drop it silently would carry out something else than was asked."""
ONCE: Final = frozenset({"authorization", "content-length", "content-type", "dpop", "host", "transfer-encoding"})
"""What has one value (RFC 9110, section 5.3; for `Host` RFC 9112, section 3.2)."""
ANSWERED: Final = frozenset(
    {
        "age", "content-disposition", "content-language", "content-type", "deprecation", "etag", "expires",
        "last-modified", "link", "ratelimit", "ratelimit-policy", "retry-after", "sunset", "vary",
    }
)  # fmt: skip
_ANSWERED_BEGINS: Final = ("x-ratelimit-", "ratelimit-", "x-total-count", "x-next-page", "x-request-id")


def may_declare(name: str) -> bool:
    """Whether an operation may declare a header of this name."""
    lowered = name.lower()
    return lowered not in RESERVED and not lowered.startswith(_RESERVED_BEGINS)


def of_request(raw: Headers, declared: Iterable[str]) -> tuple[dict[str, str], str | None]:
    """Return the declared headers of a request by their lower case names, and its content type. Raises NotMapped."""
    wanted = set(declared)
    found: dict[str, str] = {}
    seen: set[str] = set()
    content_type = None
    for octets, value in raw:
        name = octets.decode("latin-1").lower()
        if name in seen and (name in wanted or name in ONCE):
            raise NotMapped(Code.PARAMETER_REPEATED, f"The header {quoted(name)} is there more than once.")
        seen.add(name)
        if name in wanted:
            found[name] = _text(name, value)
        elif name in _OF_WEIGHT:
            raise NotMapped(Code.HEADER_NOT_DECLARED, f"The header {quoted(name)} is not declared.")
        elif name == "content-type":
            content_type = _text(name, value)
    if "content-length" in seen and "transfer-encoding" in seen:
        raise NotMapped(Code.PARAMETER_REPEATED, "The body has two lengths.")
    return found, content_type


def ours(accepted: str, trace: TraceContext) -> dict[str, str]:
    """Return what every request to a system carries: what we read of an answer, uncompressed, and the trace."""
    return {"Accept": accepted, "Accept-Encoding": "identity", **trace.headers()}


def of_answer(raw: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that a client gets: never a cookie, a place to go, or whom to trust."""
    passed = []
    for name, value in raw.items():
        lowered = name.lower()
        if (lowered in ANSWERED or lowered.startswith(_ANSWERED_BEGINS)) and _is_plain(value):
            passed.append((lowered.encode(), value.encode("latin-1")))
    return passed


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _text(name: str, value: bytes) -> str:
    text = value.decode("latin-1").strip(" \t")
    if not _is_plain(text):
        raise NotMapped(Code.PARAMETER_NOT_VALID, f"The header {quoted(name)} is no plain text.")
    return text
