"""Keys that signed what is kept: revocation receipts and evidence packs, which outlive the keys of tokens by years.

They have issuers of their own, which issue no token, and a key set of its own that no issuer's metadata names, so that
no verifier takes a retired key for one of tokens. It holds each key that ever signed, with when it did and, where it is
denied, since when what it signed is in doubt. Members as in the historical keys of OpenID Federation 1.0, section 8.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.db.models import QuerySet

from entitlements.keys import jws, public_keys, signing
from entitlements.keys.models import SigningKey

RECEIPTS: Final = "receipts"
EVIDENCE: Final = "evidence"
ISSUERS: Final = (EVIDENCE, RECEIPTS)
PATH: Final = "records/jwks.json"


type SignedAt = Callable[[], datetime | None]


class Standing(StrEnum):
    """What the signature of something kept is worth, by the state of its key."""

    VALID = "valid"
    BEFORE_COMPROMISE = "before_compromise"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown_key"


def known() -> dict[str, SigningKey]:
    """Return the keys that signed, or will sign, what is kept, by kid."""
    return {key.kid: key for key in _rows().defer("sealed_private")}


def published() -> dict[str, Any]:
    """Return the key set (RFC 7517), for checking what is kept and nothing else."""
    return {"keys": [_member(key) for key in _rows().defer("sealed_private").order_by("created_at", "kid")]}


def standing(kid: str, signed_at: SignedAt, keys: Mapping[str, SigningKey] | None = None) -> Standing:
    """Say what a signature of this key is worth.

    `signed_at` finds when it was made, None where nothing says so; it is asked about denied keys alone. It must not
    read what is signed: a person who has the key writes any date.
    """
    key = (known() if keys is None else keys).get(kid)
    if key is None or key.state == SigningKey.State.NEXT:
        return Standing.UNKNOWN
    if key.state != SigningKey.State.WITHDRAWN:
        return Standing.VALID
    at = signed_at()
    if key.compromised_since is None and key.withdrawn_at is not None:  # put out of use, and never leaked
        return Standing.VALID if at is not None and at <= key.withdrawn_at else Standing.DOUBTFUL
    return Standing.BEFORE_COMPROMISE if at is not None and at < _compromised_since(key) else Standing.DOUBTFUL


def check(token: str, typ: str, signed_at: SignedAt) -> tuple[Mapping[str, Any], Standing]:
    """Return what a kept token says and what its signature is worth, however long ago. Raises BadToken."""
    unverified, keys = jws.read(token), known()
    key = keys.get(unverified.kid or "")
    if key is None or unverified.typ != typ:
        raise jws.BadToken("The token is not one that is kept, or its key is not known here.")
    return jws.check(unverified, public_keys.read(key.public)), standing(key.kid, signed_at, keys)


def _rows() -> QuerySet[SigningKey]:
    return SigningKey.objects.filter(issuer__in=ISSUERS)


def _member(key: SigningKey) -> dict[str, Any]:
    member = {**key.public, "use": "sig", "issuer": key.issuer, "status": key.state, "iat": _seconds(key.activates_at)}
    member["pem"] = signing.pem(key.public).decode()
    if key.state == SigningKey.State.RETIRED and key.retires_at is not None:
        member["exp"] = _seconds(key.retires_at - signing.TAIL)  # when it stopped signing
    if key.state == SigningKey.State.WITHDRAWN:
        at, is_leaked = key.withdrawn_at, key.compromised_since is not None or key.withdrawn_at is None
        member["exp"] = _seconds(at or key.activates_at)
        member["revoked"] = {"revoked_at": member["exp"], "reason": "compromised" if is_leaked else "superseded"}
        if is_leaked:
            member["compromised_since"] = _seconds(_compromised_since(key))
    return member


def _compromised_since(key: SigningKey) -> datetime:
    """Return since when a leaked key is in doubt: since it was made, where no better moment is known."""
    return key.compromised_since or key.created_at


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
