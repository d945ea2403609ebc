"""What a node asks another on behalf of a caller, for whom that one decides once more."""

from __future__ import annotations

from entitlements.node.bearer import Bearer
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.stdio.local_servers import Ask
from entitlements.stdio.other_nodes import Asked
from entitlements.stdio_messages.listener import Origin


def origin(offers: Offers, *, is_own: bool = False) -> Origin:
    """Return by what a message comes to a child; `is_own`: a session that is one stream's alone."""
    return Origin(offers.session, dict(offers.capabilities), is_own)


def by(system: str, bearer: Bearer, position: int, came_by: Origin | None = None) -> Ask:
    """Return what makes a request for another node of a message. `position`: how far the change feed was followed.

    What the details of a token cover was looked at here, and does not change.
    """
    token, came_by = bearer.token, came_by or origin(NOTHING)
    return lambda message, at, number: Asked(
        at=at, number=number, system=system, position=position, message=message, origin=came_by,
        agent=bearer.agent, person=bearer.person, client=bearer.client, session=bearer.session, chain=bearer.chain,
        jti=token.jti, issued=token.issued, expires=token.expires, scopes=tuple(token.scopes),
        covers_all=token.covers_all or token.details is not None,
    )  # fmt: skip
