"""Requests for a local server: by which caller they come, also to the node that has the child."""

from __future__ import annotations

from entitlements.node.bearer import Bearer
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.stdio.local_servers import Ask
from entitlements.stdio.other_nodes import Asked
from entitlements.stdio_messages.listener import Origin


def origin(offers: Offers, *, is_own: bool = False) -> Origin:
    """Return by what a message comes to a child; `is_own`: a session that is one stream's alone."""
    return Origin(offers.session, dict(offers.capabilities), is_own)


def asked(system: str, bearer: Bearer, position: int, by: Origin | None = None) -> Ask:
    """Return what makes a request for another node of a message: with the caller, for whom it decides once more.

    What the details of a token cover was looked at here, and does not change.
    """
    token, by = bearer.token, by or origin(NOTHING)
    return lambda message, at, number: Asked(
        at=at, number=number, system=system, position=position, message=message, origin=by,
        agent=bearer.agent, person=bearer.person, client=bearer.client, session=bearer.session, chain=bearer.chain,
        jti=token.jti, issued=token.issued, expires=token.expires, scopes=tuple(token.scopes),
        covers_all=token.covers_all or token.details is not None,
    )  # fmt: skip
