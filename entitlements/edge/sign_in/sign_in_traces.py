"""The trace of a sign-in: it follows from who signed in where, when and at which client, so that it need not be kept.

A page, a token endpoint and a refused try that is repeated name the same one, before there is a session to carry it.
It is made under a key, since systems and collectors see it, and must not be able to try who is behind it.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

from entitlements import addresses
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey

_PURPOSE: Final = b"mandate traces of sign-ins"
_BYTES: Final = 16


def trace(issuer: str, subject: str, at: float, client_id: str, after: UUID | None = None) -> str:
    """Return the trace of a sign-in of an issuer's subject at a client; `at` is its time in epoch seconds.

    `after` is the session that lapsed where a sign-in goes on in another one.
    """
    named = "\n".join([issuer, subject, str(int(at)), client_id, str(after or "")])
    return hmac.digest(seal.keys_for(_PURPOSE, RootKey.SIGNING)[0], named.encode(), "sha256")[:_BYTES].hex()


def at_our_pages(login: str, at: datetime, client_id: str, after: UUID | None = None) -> str:
    """Return the trace of a sign-in of a person at our own pages."""
    return trace(addresses.issuer(addresses.IDP), login, at.timestamp(), client_id, after)
