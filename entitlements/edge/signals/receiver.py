"""Push delivery of security event tokens (RFC 8935): checked, written, answered 202. What they mean follows later.

The allow-list of issuers is asked before any key is fetched, and a row is durable before the answer. The same token
again is answered as the first time. Refusals say what is wrong in the words of RFC 8935, and are counted by minute.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from audit import clock
from entitlements.backlog import Busy
from entitlements.codes import Code
from entitlements.edge import door
from entitlements.edge.door import Received
from entitlements.edge.outside import Outside
from entitlements.errors import DomainError
from entitlements.gateway.http import NO_STORE, Answer
from entitlements.keys import jws
from entitlements.node.refusals import Closed
from entitlements.risk import event_tokens, security_events
from entitlements.risk.security_events import EventRefused
from entitlements.trusted_issuers import issuers, key_sets
from entitlements.trusted_issuers.models import TrustedIssuer

from .event_writer import TakenEvent

PATH: Final = "/ssf/events"
_TYPE: Final = "application/secevent+jwt"


async def answer(outside: Outside, received: Received) -> Answer:
    """Answer one delivery."""
    if received.method != "POST":
        body = {"err": "invalid_request", "description": "Security events are sent by POST."}
        return door.json(body, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"))
    try:
        outside.position()  # without a lease nothing that is kept may be used
        try:
            await outside.take_event(await _checked(outside, received))
        except EventRefused as error:
            await outside.count_stranger(f"{error.code}:{error.err}", received.source)
            body = {"err": error.err, "description": error.message, "code": error.code}
            return door.json(body, error.status, (b"content-language", b"en"))
        except (key_sets.KeysUnreachable, Busy) as error:
            return _later(error)
        return Answer(HTTPStatus.ACCEPTED, b"", (NO_STORE,))
    except (Closed, clock.ClockUnknown) as error:
        return door.unavailable(error)


def _later(error: DomainError) -> Answer:
    """Answer that the transmitter tries again: it is not the token that is wrong."""
    body = {"error": "temporarily_unavailable", "code": str(error.code or Code.FEED_UNKNOWN)}
    return door.json(body, HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", b"5"))


async def _checked(outside: Outside, received: Received) -> TakenEvent:
    """Return the event of a delivery once all of it was checked. Raises EventRefused, KeysUnreachable, Busy, Closed."""
    if received.header("content-type").partition(";")[0].strip().lower() != _TYPE:
        raise security_events.invalid(f"Send the token as {_TYPE}.")
    unverified = _read(received.body)
    issuer = await issuers.trusted(outside.reads(), unverified.claims.get("iss"), TrustedIssuer.Purpose.SIGNALS)
    if issuer is None:
        raise EventRefused("invalid_issuer", "Security events of this issuer are not taken.")
    event, claims = await event_tokens.check(unverified, issuer, outside.document)
    return TakenEvent(issuer.pk, event.jti, claims)


def _read(body: bytes) -> jws.Unverified:
    """Take the token apart. Raises EventRefused."""
    try:
        text = body.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise security_events.invalid("The body is no token.") from error
    return event_tokens.read(text)
