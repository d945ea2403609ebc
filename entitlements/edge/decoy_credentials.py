"""Decoy credentials at the endpoints of our issuers: refused like any other wrong one, and recorded."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from entitlements.decoys import credentials

from . import forms

if TYPE_CHECKING:
    from .door import Attempt

_PRESENTED: Final = (
    *("client_secret", "client_assertion", "token", "subject_token", "actor_token", "assertion"),
    *("refresh_token", "code"),
)
"""The parameters that hold a credential."""


async def note(attempt: Attempt, door: str) -> bool:
    """Record that a decoy was presented, if it was one; says whether. The answer does not wait for the record.

    `door` is the address. A client that authenticated is linked, since it holds what it should not. Raises Closed.
    """
    found = await credentials.presented(attempt.outside.reads(), _presented(attempt))
    if found is None:
        return False
    known = [] if attempt.by is None else [str(attempt.by), *attempt.about]
    if (event := credentials.event(found, door, attempt.source, about=known)) is not None:
        attempt.outside.follow(event)
    return True


def _presented(attempt: Attempt) -> Iterator[str]:
    yield from (attempt.form[name] for name in _PRESENTED if attempt.form.get(name))
    scheme, _, encoded = attempt.authorization.partition(" ")
    if scheme.lower() != "basic":
        yield encoded
        return
    try:
        yield forms.text(base64.b64decode(encoded.strip(), validate=True).partition(b":")[2])
    except (binascii.Error, ValueError, forms.BadForm):
        return
