"""The arguments of a denied call, kept for the request that goes on from it: sealed in the link, for an hour.

They are stored nowhere. Who has the link has a text that only we open, for those who may resume the call
(`governance/requests/denied_calls.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements import strict
from entitlements.decisions.reads import Reads
from entitlements.keys import in_use, session_keys
from entitlements.node.refusals import Closed

SECONDS: Final = 3600
LARGEST: Final = 800
"""Bytes of JSON: an address must stay short enough for any client to show. A call with more is kept without them."""
_PURPOSE: Final = " denied call"


async def sealed(reads: Reads, evaluation: str, arguments: Mapping[str, object], now: float) -> str:
    """Seal the arguments of a call that was denied now; empty where they are too long, or no key is there."""
    plain = strict.dumps({"call": evaluation, "until": int(now) + SECONDS, "arguments": dict(arguments)})
    if len(plain) > LARGEST:
        return ""
    try:
        return await session_keys.sealed(reads, plain, purpose=_PURPOSE)
    except (in_use.KeyMissing, Closed):
        return ""


async def opened(reads: Reads, text: str, evaluation: str, now: float) -> Mapping[str, Any]:
    """Return the arguments of this very call; none where the text is not ours, of another call, or over an hour old."""
    try:
        kept: dict[str, Any] = strict.loads(await session_keys.opened(reads, text, purpose=_PURPOSE))
    except (session_keys.NotOurs, strict.NotStrictJson):
        return {}
    is_of_call = kept["call"] == evaluation and now < kept["until"]
    arguments: Mapping[str, Any] = kept["arguments"] if is_of_call else {}
    return arguments
