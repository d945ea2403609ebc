"""How long a client may keep a resource, and that no one else may have it (MCP 2026-07-28, caching; GW-10). Pure."""

from __future__ import annotations

from typing import Final

import msgspec

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode
_PRIVATE: Final = msgspec.Raw(b'"private"')
_NOT_AT_ALL: Final = msgspec.Raw(b"0")
_INPUT_REQUIRED: Final = b'"input_required"'


def private(result: bytes) -> bytes:
    """Return the result of resources/read for its caller alone: what a system calls public was read by one grant.

    A question to the client (`input_required`) stays as it is: no answer to it is ever kept.
    """
    members = _members.decode(result)
    if bytes(members.get("resultType", b"")) == _INPUT_REQUIRED:
        return result
    members.setdefault("ttlMs", _NOT_AT_ALL)
    members["cacheScope"] = _PRIVATE
    return _encode(members)
