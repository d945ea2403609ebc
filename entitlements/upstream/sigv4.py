"""AWS Signature Version 4: a signature over one request, in its headers. Pure.

Source: "Signing AWS API requests", AWS General Reference. The tests are AWS's own test suite.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = frozenset({"authorization", "connection", "expect", "transfer-encoding", "user-agent"})
"""Headers that a proxy may change or that hold the signature itself."""
ADDED: Final = frozenset({"x-amz-date", "x-amz-content-sha256"})
"""The headers that a signature brings, beside Authorization."""
_SPACES: Final = re.compile(r" +")
_KEEPS_ITS_PATH: Final = "s3"
"""The one service that takes a path as it is: neither normalised nor encoded a second time."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of an AWS account, and what it signs for."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent: `path` and `query` encoded, each header with its value, `host` among them."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """The headers to add, and the signature that one of them holds."""

    headers: dict[str, str] = field(repr=False)
    signature: str = field(repr=False)


def sign(
    request: Request, signer: Signer, at: datetime, *, normalize: bool | None = None, sends_digest: bool = True
) -> Signed:
    """Sign a request at a time, aware, UTC. The body's digest is always signed, and with `sends_digest` sent.

    `normalize` says whether the path is normalised, by default for every service but S3.
    """
    stamp, digest = at.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(request.body).hexdigest()
    added = {"X-Amz-Date": stamp} | ({"X-Amz-Content-Sha256": digest} if sends_digest else {})
    headers = _canonical_headers((*request.headers, *added.items()))
    names = ";".join(name for name, _ in headers)
    normalizes = signer.service != _KEEPS_ITS_PATH if normalize is None else normalize
    canonical = "\n".join(
        (
            request.method,
            _path(request.path, normalizes=normalizes, encodes=signer.service != _KEEPS_ITS_PATH),
            _query(request.query),
            *(f"{name}:{value}" for name, value in headers),
            "",
            names,
            digest,
        )
    )
    scope = f"{stamp[:8]}/{signer.region}/{signer.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_key(signer, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    parts = f"Credential={signer.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return Signed({**added, "Authorization": f"{ALGORITHM} {parts}"}, signature)


def _key(signer: Signer, day: str) -> bytes:
    key = f"AWS4{signer.secret_access_key}".encode()
    for part in (day, signer.region, signer.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort by name; values of one name keep their order, and runs of spaces become one."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _UNSIGNED:
            values.setdefault(name.lower(), []).append(_SPACES.sub(" ", value.strip()))
    return sorted((name, ",".join(each)) for name, each in values.items())


def _path(path: str, *, normalizes: bool, encodes: bool) -> str:
    text = _normalized(path) if normalizes else path or "/"
    return quote(text, safe="/-_.~") if encodes else text


def _normalized(path: str) -> str:
    """Remove dot segments and empty ones (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    ends = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + ends


def _query(query: str) -> str:
    """Sort the parameters by their encoded names, then by their encoded values."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
