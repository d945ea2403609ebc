"""A credential that is older than the policy allows opens nothing, from the moment on."""

from __future__ import annotations

from typing import Final

from audit import clock
from entitlements.client_documents import rules as documents
from entitlements.clients.callers import Caller
from entitlements.credential_policy import policy
from entitlements.decisions.reads import Reads
from entitlements.edge import refusals

from .held import Held

TOO_OLD: Final = "credential_too_old"
_MESSAGE: Final = (
    "This credential is older than the policy allows. A person who manages the client gives it a new one; "
    "rotate that one in time."
)


async def check(reads: Reads, client: Caller, held: Held | None) -> None:
    """Refuse a credential whose age is over. Raises Refused.

    A client that describes itself replaces its keys in its document: when they were made is not known here.
    """
    if held is None or documents.is_address(client.client_id):
        return
    in_force = await policy.read(reads)
    if clock.now() >= in_force.ends_at(held.kind, held.made):
        raise refusals.invalid_client(_MESSAGE, TOO_OLD)
