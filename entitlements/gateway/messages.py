"""A JSON-RPC message as MCP has it: read strictly once, its era found, its headers compared with its body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from entitlements import strict
from entitlements.codes import INVALID_PARAMS, Code
from entitlements.gateway.http import Request, encode
from entitlements.node.refusals import Refused
from entitlements.upstream import mcp_headers, upstream

INVALID_REQUEST: Final = -32600
PARSE_ERROR: Final = -32700
SUPPORTED: Final = (upstream.MODERN,)
"""The versions that a request may name: `server/discover` and the error -32022 list these. Earlier ones begin with
`initialize`, which agrees on one."""
_LONGEST: Final = 128
_JSON: Final = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_UNSTATED: Final = "2025-03-26"
"""What a legacy request without a version header speaks (MCP 2025-11-25, transports)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One message. `id` is its id as JSON, None for a notification; an answer to a request of ours has no method."""

    method: str
    params: dict[str, Any]
    id: bytes | None
    is_modern: bool
    meta: dict[str, Any]
    said: Mapping[str, Any] = field(default_factory=dict)
    """Of an answer to a request of ours: its `result` or `error`."""

    @property
    def request_id(self) -> bytes:
        """The id to answer with."""
        return b"null" if self.id is None else self.id


def read(text: bytes, content_type: str | None) -> Call:
    """Read one message. Raises Refused: -32700 when it is not strict JSON, -32600 when it is no single message."""
    if not _JSON.fullmatch(content_type or ""):
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise Refused(Code.MALFORMED_CALL, "The content type is not application/json in UTF-8.", status=status)
    try:
        value = strict.loads(text)
    except strict.NotStrictJson as why:
        raise Refused(Code.MALFORMED_CALL, why.message, jsonrpc=PARSE_ERROR) from why
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise _invalid("The body is not one JSON-RPC 2.0 message.")
    method, params, message_id = value.get("method", ""), value.get("params", {}), value.get("id")
    if not isinstance(method, str) or len(method) > _LONGEST or (not method and not value.keys() & {"result", "error"}):
        raise _invalid("The message names no method.")
    if "id" in value and (isinstance(message_id, bool) or not isinstance(message_id, str | int)):
        raise _invalid("The message's id is neither a text nor a whole number.")
    if not isinstance(params, dict):
        raise _invalid("The message's params are not an object.")
    meta = params.get("_meta", {})
    if not isinstance(meta, dict):
        raise _invalid("The message's _meta is not an object.")
    said = {} if method else {name: value[name] for name in ("result", "error") if name in value}
    is_modern = upstream.META_VERSION in meta
    return Call(method, params, encode(message_id) if "id" in value else None, is_modern, meta, said)


def _invalid(message: str) -> Refused:
    return Refused(Code.MALFORMED_CALL, message, jsonrpc=INVALID_REQUEST)


def is_modern(call: Call, request: Request) -> bool:
    """Say to which era a message belongs: by its body first, since headers are only a copy (GW-3, GW-17)."""
    if call.is_modern:
        return True
    if call.method == "initialize" or request.headers.get(b"mcp-session-id"):
        return False
    version = request.header(mcp_headers.VERSION)
    return version is not None and version not in upstream.LEGACY


def check_modern(call: Call, request: Request) -> None:
    """Check the envelope and that each header says what the body says (GW-2, GW-5). Raises Refused."""
    version = call.meta.get(upstream.META_VERSION)
    if not isinstance(version, str) or not isinstance(call.meta.get(upstream.META_CAPABILITIES), dict):
        raise Refused(
            Code.MALFORMED_CALL,
            f"_meta must hold {upstream.META_VERSION} and {upstream.META_CAPABILITIES}.",
            jsonrpc=INVALID_PARAMS,
        )
    named = mcp_headers.NAMED_BY.get(call.method)
    expected: dict[str, object] = {mcp_headers.VERSION: version, mcp_headers.METHOD: call.method}
    if named is not None:
        expected[mcp_headers.NAME] = call.params.get(named)
    for header, value_in_body in expected.items():
        value_in_header = request.header(header)
        if value_in_header is None or mcp_headers.decode(value_in_header) != value_in_body:
            raise Refused(Code.HEADER_MISMATCH, f"The header {header} and the body say different things.")
    check_version(version)


def check_version(version: str) -> None:
    """Refuse a modern version that we do not speak, and name those that we do (GW-5)."""
    if version not in SUPPORTED:
        raise Refused(Code.UNSUPPORTED_VERSION, data={"supported": list(SUPPORTED), "requested": version})


def check_legacy(request: Request) -> None:
    """Check the version header of a legacy request; without one it speaks 2025-03-26 (GW-16). Raises Refused."""
    version = request.header(mcp_headers.VERSION) or _UNSTATED
    if version not in upstream.LEGACY:
        check_version(version)
        raise Refused(
            Code.HEADER_MISMATCH, "The version header names the modern era, and the body does not.",
            status=HTTPStatus.BAD_REQUEST,
        )  # fmt: skip


def check_params(call: Call, request: Request, mirrored: Mapping[str, mcp_headers.Path]) -> None:
    """Check that Mcp-Param headers repeat the arguments that the approved schema marks (GW-4). Raises Refused."""
    prefix = mcp_headers.PARAM.encode()
    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.raw if name.startswith(prefix)]
    if not headers and not mirrored:
        return
    if wrong := mcp_headers.contradicting(call.params.get("arguments") or {}, mirrored, headers):
        raise Refused(Code.HEADER_MISMATCH, f"The header {wrong} and the arguments say different things.")
