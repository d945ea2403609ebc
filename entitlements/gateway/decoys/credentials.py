"""Bearer tokens that are decoys, at an address of the gateway: refused like any other wrong one, and recorded."""

from __future__ import annotations

from entitlements.codes import Code
from entitlements.decoys import credentials
from entitlements.gateway.http import Request
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused


async def note(node: Node, request: Request, why: Refused) -> bool:
    """Record that a decoy was presented, if it was one; says whether. The answer does not wait for the record."""
    if why.code is not Code.TOKEN_INVALID:
        return False
    _, _, token = request.headers.get(b"authorization", b"").partition(b" ")
    try:
        found = await credentials.presented(node.reads(), [token.decode("latin-1")])
    except Closed:
        return False
    if found is not None and (event := credentials.event(found, "gateway", request.source)) is not None:
        node.recorder.eventually(event)
    return found is not None
