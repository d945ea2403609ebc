"""Client credentials (RFC 6749 section 4.4): an agent, or a script, that acts for no person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements.clients.callers import Caller, Target
from entitlements.decisions import scopes
from entitlements.edge import issue
from entitlements.edge.door import Attempt

from . import exchange, jwt_bearer

GRANT: Final = "client_credentials"


async def answer(attempt: Attempt, caller: Caller, target: Target) -> Mapping[str, Any]:
    """Answer a client that asks for a token of its own at one system. Raises Refused and what issuing raises."""
    resource = exchange.resource_of(attempt, target) if "resource" in attempt.form else target.resources[0]
    requested = frozenset(scopes.parse(attempt.form.get("scope"))) or None
    token, minted = await issue.to_client(attempt, caller, target, resource=resource, requested=requested)
    return jwt_bearer.access_token_answer(attempt, token, minted, resource)
