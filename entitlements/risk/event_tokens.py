"""Checking a security event token, however it came: who signed it, for whom, and whether it is one of the profile.

The allow-list of issuers is asked before any key is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import clock
from entitlements import addresses
from entitlements.keys import jws
from entitlements.trusted_issuers import issuers
from entitlements.trusted_issuers.issuers import ActiveIssuer
from entitlements.trusted_issuers.key_sets import Fetch

from . import security_events
from .security_events import Event, EventRefused


def read(text: str) -> jws.Unverified:
    """Take a token apart. Raises EventRefused: an unsigned token is no proof of who sent it."""
    try:
        return jws.read(text)
    except jws.BadToken as error:
        raise EventRefused(_word_of(text), error.message) from error


async def check(unverified: jws.Unverified, issuer: ActiveIssuer, fetch: Fetch) -> tuple[Event, Mapping[str, Any]]:
    """Return the event and all that it says, once all of it was checked. Raises EventRefused, KeysUnreachable, Busy."""
    audience = issuer.signal_audience or addresses.signals_endpoint()
    now = clock.now().timestamp()
    try:
        await issuers.check(unverified, issuer, fetch, comes_again=False)
    except jws.UnknownKey as error:
        raise EventRefused("invalid_key", error.message) from error
    except jws.BadToken as error:
        raise EventRefused("authentication_failed", error.message) from error
    event = security_events.read(unverified.typ, unverified.claims, audience, issuer.signal_events, now)
    return event, unverified.claims


def _word_of(text: str) -> str:
    header, _dot, rest = text.partition(".")
    is_unsigned = bool(rest) and (text.endswith(".") or jws.names_no_algorithm(header))
    return "authentication_failed" if is_unsigned else "invalid_request"
